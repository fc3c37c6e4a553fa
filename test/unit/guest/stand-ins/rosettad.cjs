#!/usr/bin/env node
// Stand-in for Apple's rosettad, which exists only on a Mac. It obeys the rules that its users report:
//   rosettad daemon <cachedir>   binds <cachedir>/uds/<last part of the configured path>, not the configured path;
//                                ends when that file exists already (EADDRINUSE); needs the folder to exist;
//                                answers a request by keeping <64 hexadecimal digits>.aotcache in <cachedir>.
// The real one learns the configured path through an ioctl on the share; this one reads it from the file
// `configured-path` beside it. The real socket is SOCK_SEQPACKET, which Node has not; this one is a stream.
const { createHash } = require('node:crypto');
const { appendFileSync, readFileSync, writeFileSync } = require('node:fs');
const { createServer } = require('node:net');
const path = require('node:path');

const [command, cacheDirectory] = process.argv.slice(2);
if (command !== 'daemon' || cacheDirectory === undefined) process.exit(64);
appendFileSync(path.join(__dirname, 'starts'), `${process.pid}\n`);
const configured = readFileSync(path.join(__dirname, 'configured-path'), 'utf8').trim();
const server = createServer((client) => {
  client.on('data', (program) => {
    const digest = createHash('sha256').update(program).digest('hex');
    writeFileSync(path.join(cacheDirectory, `${digest}.aotcache`), 'translated');
    client.end('done');
  });
});
server.on('error', () => {
  process.stderr.write('rosetta error: Failed bind socket: 98\n');
  process.kill(process.pid, 'SIGTRAP');
});
server.listen(path.join(cacheDirectory, 'uds', path.basename(configured)));
