import { errorMessage, type JsonReader, SlipwayError } from "@slipway/base";
import { closeFd, copyDescriptorOfPeer, type FileStat, fstatNs } from "@slipway/sys";

/** An open file of the client's process; its own copy of the descriptor, with the client's rights and no others. */
export interface PeerFile extends Disposable {
  readonly fd: number;
  readonly stat: FileStat;
}

/**
 * The file that the program at the other end of a unix socket has open and names: `Descriptor`, and the file's `Device` and
 * `Inode` as decimal texts. They must agree, for the program that connected may only pass on what another one says, and in that
 * one the number means another file. Throws `not-implemented` where the kernel cannot or may not do this, `invalid` for others
 * than plain files and `conflict` when it is not the file that was named: clients send an archive then.
 */
export function peerFile(socket: number | undefined, document: JsonReader): PeerFile {
  const descriptor = document.field("Descriptor").natural();
  const [device, inode] = [document.field("Device").string(), document.field("Inode").string()];
  if (socket === undefined) throw new SlipwayError("not-implemented", "descriptors can be named on a unix socket only");
  const fd = copied(socket, descriptor);
  try {
    const stat = fstatNs(fd);
    if (stat.kind !== "file") throw new SlipwayError("invalid", `descriptor ${descriptor} is no plain file`);
    if (String(stat.dev) !== device || String(stat.ino) !== inode) {
      throw new SlipwayError("conflict", `descriptor ${descriptor} is another file than the one that was named`);
    }
    return { fd, stat, [Symbol.dispose]: () => closeFd(fd) };
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function copied(socket: number, descriptor: number): number {
  try {
    return copyDescriptorOfPeer(socket, descriptor);
  } catch (error) {
    const message = `the descriptor ${descriptor} of the client cannot be had: ${errorMessage(error)}`;
    throw new SlipwayError("not-implemented", message, { cause: error });
  }
}
