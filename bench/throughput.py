"""Sends or takes N bytes over one TCP connection, as fast as the kernel can: `throughput.py serve PORT N | take HOST PORT N`.

`take` prints the milliseconds from the connection's beginning to the last byte."""
import socket
import sys
import time

BLOCK = 1 << 20


def serve(port, size):
    listener = socket.create_server(("0.0.0.0", port), reuse_port=False)
    print("ready", flush=True)
    block = bytes(BLOCK)
    while True:
        connection, _ = listener.accept()
        with connection:
            left = size
            while left > 0:
                left -= connection.send(block[: min(left, BLOCK)])


def take(host, port, size):
    began = time.monotonic()
    buffer = bytearray(BLOCK)
    taken = 0
    with socket.create_connection((host, port)) as connection:
        while count := connection.recv_into(buffer):
            taken += count
    if taken != size:
        sys.exit(f"{taken} of {size} bytes came")
    print((time.monotonic() - began) * 1000)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), int(sys.argv[3]))
else:
    take(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
