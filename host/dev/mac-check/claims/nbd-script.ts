/**
 * A server of a network block device in memory, as a function of a small program: the least that doc/proto.md of the
 * NetworkBlockDevice project asks for (fixed newstyle, one export of any name, simple replies). Options that it does not
 * know it refuses, since a server that drops the connection instead made a start fail (superhq-ai/shuru#25).
 */

/**
 * `serveNbd({ listen, bytes, cuts })`: listens at `listen`, a port of 127.0.0.1 (0: any) or a socket's path; resolves with
 * the server. Of the connections that come to a transmission, the first `cuts` are cut off after their first read.
 */
export const NBD_SERVER = `
const NBD_READ = 0, NBD_WRITE = 1, NBD_DISCONNECT = 2;
const NBD_EINVAL = 22;

/** What a socket says, in pieces of the size that is asked for; null at its end. */
function nbdReader(socket) {
  const chunks = socket[Symbol.asyncIterator]();
  let rest = Buffer.alloc(0);
  return async (bytes) => {
    while (rest.length < bytes) {
      const { done, value } = await chunks.next();
      if (done) return null;
      rest = Buffer.concat([rest, value]);
    }
    const piece = rest.subarray(0, bytes);
    rest = rest.subarray(bytes);
    return piece;
  };
}

/** The handshake; resolves with whether a transmission follows. */
async function nbdHandshake(socket, read, bytes) {
  // Flags of the transmission: they are there, and flush is known.
  const flags = 0b101;
  // Of the handshake: fixed newstyle, no zeroes.
  socket.write(Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), Buffer.from([0, 0b11])]));
  const client = await read(4);
  if (client === null) return false;
  const size = Buffer.alloc(10);
  size.writeBigUInt64BE(BigInt(bytes));
  size.writeUInt16BE(flags, 8);
  for (;;) {
    const head = await read(16);
    if (head === null || head.toString('latin1', 0, 8) !== 'IHAVEOPT') return false;
    const option = head.readUInt32BE(8);
    if ((await read(head.readUInt32BE(12))) === null) return false;
    const reply = (type, data = Buffer.alloc(0)) => {
      const start = Buffer.alloc(20);
      start.writeBigUInt64BE(0x3e889045565a9n);
      start.writeUInt32BE(option, 8);
      start.writeUInt32BE(type, 12);
      start.writeUInt32BE(data.length, 16);
      socket.write(Buffer.concat([start, data]));
    };
    // NBD_OPT_EXPORT_NAME has no reply of its own; NBD_OPT_ABORT; NBD_OPT_INFO and NBD_OPT_GO: the export, then an end.
    if (option === 1) {
      socket.write(Buffer.concat([size, Buffer.alloc(client.readUInt32BE(0) & 2 ? 0 : 124)]));
      return true;
    }
    if (option === 2) {
      reply(1);
      return false;
    }
    if (option !== 6 && option !== 7) {
      reply(2 ** 31 + 1);
      continue;
    }
    reply(3, Buffer.concat([Buffer.from([0, 0]), size]));
    reply(1);
    if (option === 7) return true;
  }
}

/** Answers requests until the client leaves, or once when \`cut\`. */
async function nbdTransmission(socket, read, disk, cut) {
  for (;;) {
    const head = await read(28);
    if (head === null || head.readUInt32BE(0) !== 0x25609513) return;
    const [type, offset, length] = [head.readUInt16BE(6), Number(head.readBigUInt64BE(16)), head.readUInt32BE(24)];
    if (type === NBD_DISCONNECT) return;
    const data = type === NBD_WRITE ? await read(length) : null;
    if (type === NBD_WRITE && data === null) return;
    const moves = type === NBD_READ || type === NBD_WRITE;
    const fits = !moves || offset + length <= disk.length;
    if (fits && data !== null) data.copy(disk, offset);
    const start = Buffer.alloc(8);
    start.writeUInt32BE(0x67446698);
    start.writeUInt32BE(fits ? 0 : NBD_EINVAL, 4);
    const shown = fits && type === NBD_READ ? disk.subarray(offset, offset + length) : Buffer.alloc(0);
    socket.write(Buffer.concat([start, head.subarray(8, 16), shown]));
    if (cut && type === NBD_READ) return;
  }
}

async function serveNbd({ listen, bytes, cuts }) {
  const disk = Buffer.alloc(bytes);
  let left = cuts;
  const server = require('node:net').createServer(async (socket) => {
    // A client that is cut off resets the connection.
    socket.on('error', () => {});
    const read = nbdReader(socket);
    try {
      if (await nbdHandshake(socket, read, bytes)) await nbdTransmission(socket, read, disk, left-- > 0);
    } catch (error) {
      console.log(JSON.stringify({ nbd: String(error) }));
    }
    socket.end();
  });
  const place = typeof listen === 'number' ? { host: '127.0.0.1', port: listen } : { path: listen };
  await new Promise((resolve, reject) => server.once('error', reject).listen(place, resolve));
  server.unref();
  return server;
}
`;
