// The load for bench/registry.ts: a compiled program, so that what is measured is the registry and not its client.
//
//	registry-load get URL CLIENTS SECONDS          bytes a second; bodies are dropped in the kernel
//	registry-load request METHOD URL CLIENTS SECONDS  answers a second
//	registry-load upload BASE SIZE COUNT CLIENTS   seconds for COUNT uploads of SIZE bytes: POST, PATCH, PUT as docker push does
//	registry-load push BASE NAME SECONDS CLIENTS   percentiles of pushes of a small image, in milliseconds
//	registry-load fill BASE NAME COUNT             pushes COUNT manifests with a blob each, one tag in ten
package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	arg := func(i int) string { return os.Args[i] }
	num := func(i int) int { n, err := strconv.Atoi(os.Args[i]); check(err); return n }
	var result any
	switch arg(1) {
	case "get":
		result = get(arg(2), num(3), num(4))
	case "request":
		result = request(arg(2), arg(3), num(4), num(5))
	case "upload":
		result = upload(arg(2), num(3), num(4), num(5))
	case "push":
		result = push(arg(2), arg(3), num(4), num(5))
	case "fill":
		result = fill(arg(2), arg(3), num(4))
	}
	check(json.NewEncoder(os.Stdout).Encode(result))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A connection of our own: after the header the kernel drops the body, without copying it to us.
func drop(conn *net.TCPConn, u *url.URL) int64 {
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host)
	check(err)
	reader := bufio.NewReaderSize(conn, 4096)
	length := int64(-1)
	status, err := reader.ReadString('\n')
	check(err)
	if !strings.Contains(status, " 200 ") {
		check(fmt.Errorf("unexpected answer: %s", status))
	}
	for {
		line, err := reader.ReadString('\n')
		check(err)
		if line == "\r\n" {
			break
		}
		if name, value, found := strings.Cut(line, ":"); found && strings.EqualFold(name, "content-length") {
			length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			check(err)
		}
	}
	rest := length - int64(reader.Buffered())
	raw, err := conn.SyscallConn()
	check(err)
	buffer := make([]byte, 1<<20)
	for rest > 0 {
		var n int
		var failed error
		check(raw.Read(func(fd uintptr) bool {
			size := int64(len(buffer))
			if rest < size {
				size = rest
			}
			n, _, failed = syscall.Recvfrom(int(fd), buffer[:size], syscall.MSG_TRUNC)
			return failed != syscall.EAGAIN
		}))
		check(failed)
		if n == 0 {
			check(fmt.Errorf("the connection broke off"))
		}
		rest -= int64(n)
	}
	return length
}

func get(address string, clients, seconds int) any {
	u, err := url.Parse(address)
	check(err)
	var total atomic.Int64
	began := time.Now()
	end := began.Add(time.Duration(seconds) * time.Second)
	each(clients, func(int) {
		conn, err := net.Dial("tcp", u.Host)
		check(err)
		for time.Now().Before(end) {
			total.Add(drop(conn.(*net.TCPConn), u))
		}
		conn.Close()
	})
	return map[string]float64{"perSecond": float64(total.Load()) / time.Since(began).Seconds()}
}

func request(method, address string, clients, seconds int) any {
	u, err := url.Parse(address)
	check(err)
	text := []byte(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\n\r\n", method, u.RequestURI(), u.Host))
	var total atomic.Int64
	began := time.Now()
	end := began.Add(time.Duration(seconds) * time.Second)
	each(clients, func(int) {
		conn, err := net.Dial("tcp", u.Host)
		check(err)
		reader := bufio.NewReaderSize(conn, 65536)
		fake := &http.Request{Method: method}
		for time.Now().Before(end) {
			_, err := conn.Write(text)
			check(err)
			response, err := http.ReadResponse(reader, fake)
			check(err)
			if response.StatusCode != 200 {
				check(fmt.Errorf("unexpected status %d", response.StatusCode))
			}
			_, err = io.Copy(io.Discard, response.Body)
			check(err)
			total.Add(1)
		}
		conn.Close()
	})
	return map[string]float64{"perSecond": float64(total.Load()) / time.Since(began).Seconds()}
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100, WriteBufferSize: 1 << 18}}

func send(method, address string, body io.Reader, size int64, kind string) *http.Response {
	request, err := http.NewRequest(method, address, body)
	check(err)
	request.ContentLength = size
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	response, err := client.Do(request)
	check(err)
	text, err := io.ReadAll(response.Body)
	check(err)
	response.Body.Close()
	if response.StatusCode >= 300 {
		check(fmt.Errorf("%s %s: %d %s", method, address, response.StatusCode, text))
	}
	return response
}

func location(base string, response *http.Response) *url.URL {
	root, err := url.Parse(base)
	check(err)
	next, err := root.Parse(response.Header.Get("Location"))
	check(err)
	return next
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func pushBlob(base, name string, content []byte, digest string) {
	next := location(base, send("POST", base+"/v2/"+name+"/blobs/uploads/", nil, 0, ""))
	next = location(base, send("PATCH", next.String(), bytes.NewReader(content), int64(len(content)), "application/octet-stream"))
	query := next.Query()
	query.Set("digest", digest)
	next.RawQuery = query.Encode()
	send("PUT", next.String(), nil, 0, "")
}

func random(size int) []byte {
	content := make([]byte, size)
	_, err := rand.Read(content)
	check(err)
	return content
}

func upload(base string, size, count, clients int) any {
	blobs := make([][]byte, count)
	digests := make([]string, count)
	for i := range blobs {
		blobs[i] = random(size)
		digests[i] = digestOf(blobs[i])
	}
	var next atomic.Int64
	began := time.Now()
	each(clients, func(int) {
		for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
			pushBlob(base, "bench/upload", blobs[i], digests[i])
		}
	})
	return map[string]float64{"seconds": time.Since(began).Seconds()}
}

const kind = "application/vnd.oci.image.manifest.v1+json"

func pushImage(base, name, reference string) {
	config := []byte(fmt.Sprintf(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"id":"%x"}`, random(16)))
	layer := random(4096)
	pushBlob(base, name, config, digestOf(config))
	pushBlob(base, name, layer, digestOf(layer))
	manifest := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":%d}]}`,
		kind, digestOf(config), len(config), digestOf(layer), len(layer)))
	if reference == "" {
		reference = digestOf(manifest)
	}
	send("PUT", base+"/v2/"+name+"/manifests/"+reference, bytes.NewReader(manifest), int64(len(manifest)), kind)
}

func push(base, name string, seconds, clients int) any {
	var mutex sync.Mutex
	var times []float64
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	each(clients, func(id int) {
		for i := 0; time.Now().Before(end); i++ {
			began := time.Now()
			pushImage(base, name, fmt.Sprintf("t%d-%d", id, i%50))
			took := time.Since(began).Seconds() * 1000
			mutex.Lock()
			times = append(times, took)
			mutex.Unlock()
		}
	})
	sort.Float64s(times)
	at := func(part float64) float64 { return times[int(part*float64(len(times)-1))] }
	return map[string]float64{"count": float64(len(times)), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1)}
}

func fill(base, name string, count int) any {
	var next atomic.Int64
	began := time.Now()
	each(8, func(int) {
		for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
			reference := ""
			if i%10 == 0 {
				reference = fmt.Sprintf("tag%d", i)
			}
			pushImage(base, name, reference)
		}
	})
	return map[string]float64{"seconds": time.Since(began).Seconds()}
}

func each(clients int, work func(id int)) {
	var group sync.WaitGroup
	for id := 0; id < clients; id++ {
		group.Add(1)
		go func() {
			defer group.Done()
			work(id)
		}()
	}
	group.Wait()
}
