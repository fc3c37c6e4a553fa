/*
 * A stand-in for Apple's rosettad, and for the client in Apple's translator, which exist only on a Mac. It translates
 * nothing, knows nothing of the real ones' files and asks for no licence; it obeys what others have told of them:
 *
 *   rosettad daemon <folder>   binds <folder>/uds/<last part of the configured path>, a SOCK_SEQPACKET, not the configured
 *                              path itself; ends with a trap when that file exists (EADDRINUSE). A translation is
 *                              <folder>/<SHA-256 of the program>.aotcache.
 *   messages of a client       `?` answered by 1. `d` and a digest: 1, then a byte with the translation's descriptor; or 0.
 *                              `t` with the program's descriptor: 1, the digest, a byte with the descriptor; or 0. `q`.
 *   rosettad client <program>  what a translated process does: asks for the program's translation at the configured path
 *                              and prints `hit`, `translated`, `refused` or, when nobody serves, `none`.
 *
 * The real ones learn the configured path through an ioctl on the share; this reads it from the file `configured-path`
 * beside it. With a file `binds-configured` there, the daemon binds the configured path, as it may one day; with one
 * `private-folder` it keeps others from uds, as its umask may say; with one `listens-late` a while passes from bind(2) to
 * listen(2), as on a busy machine. Each start adds its process id to `starts`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { DIGEST_BYTES = 32, PATH_BYTES = 4096, COPY_BYTES = 65536, LATE_US = 300000 };

/* FIPS 180-4. The constants are the fractions of the roots of the first primes, computed as it says. */
static uint32_t root_fraction(unsigned prime, int cube) {
  /* floor(2^32 * root(prime)), by bisection in integers of 128 bits. */
  unsigned __int128 low = 0;
  unsigned __int128 high = (unsigned __int128)1 << 37;
  while (high - low > 1) {
    unsigned __int128 middle = (low + high) / 2;
    unsigned __int128 power = middle * middle;
    int below = cube ? power <= (((unsigned __int128)prime << 96) / middle) : power <= (unsigned __int128)prime << 64;
    if (below) low = middle;
    else high = middle;
  }
  return (uint32_t)low;
}

static uint32_t rotated(uint32_t x, int by) { return x >> by | x << (32 - by); }

static void add_block(uint32_t state[8], const uint32_t k[64], const uint8_t *block) {
  uint32_t w[64];
  for (int i = 0; i < 16; i += 1) {
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
           block[4 * i + 3];
  }
  for (int i = 16; i < 64; i += 1) {
    uint32_t a = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t b = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + a + w[i - 7] + b;
  }
  uint32_t v[8];
  memcpy(v, state, sizeof v);
  for (int i = 0; i < 64; i += 1) {
    uint32_t s1 = rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25);
    uint32_t s0 = rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22);
    uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
    uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    memmove(v + 1, v, 7 * sizeof *v);
    v[4] += t1;
    v[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i += 1) state[i] += v[i];
}

/* Of a whole file; answers 0 when it cannot be read. */
static int sha256(int file, uint8_t digest[DIGEST_BYTES]) {
  uint32_t state[8];
  uint32_t k[64];
  unsigned found = 0;
  for (unsigned n = 2; found < 64; n += 1) {
    unsigned divisor = 2;
    while (n % divisor != 0) divisor += 1;
    if (divisor != n) continue;
    if (found < 8) state[found] = root_fraction(n, 0);
    k[found] = root_fraction(n, 1);
    found += 1;
  }
  uint8_t block[64];
  uint64_t length = 0;
  for (;;) {
    size_t have = 0;
    while (have < sizeof block) {
      ssize_t count = pread(file, block + have, sizeof block - have, (off_t)(length + have));
      if (count < 0) return 0;
      if (count == 0) break;
      have += (size_t)count;
    }
    length += have;
    if (have < sizeof block) {
      block[have] = 0x80;
      memset(block + have + 1, 0, sizeof block - have - 1);
      if (have >= 56) {
        add_block(state, k, block);
        memset(block, 0, sizeof block);
      }
      for (int i = 0; i < 8; i += 1) block[56 + i] = (uint8_t)(length * 8 >> (56 - 8 * i));
      add_block(state, k, block);
      break;
    }
    add_block(state, k, block);
  }
  for (int i = 0; i < DIGEST_BYTES; i += 1) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
  return 1;
}

static char own_folder[PATH_BYTES];

static int read_configured(struct sockaddr_un *address) {
  char name[PATH_BYTES + 32];
  snprintf(name, sizeof name, "%s/configured-path", own_folder);
  int file = open(name, O_RDONLY);
  if (file < 0) return 0;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  ssize_t length = read(file, address->sun_path, sizeof address->sun_path - 1);
  close(file);
  while (length > 0 && address->sun_path[length - 1] == '\n') length -= 1;
  if (length > 0) address->sun_path[length] = '\0';
  return length > 0;
}

static int send_message(int peer, const void *bytes, size_t length, int descriptor) {
  struct iovec part = {(void *)bytes, length};
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  return sendmsg(peer, &message, MSG_NOSIGNAL) == (ssize_t)length;
}

static ssize_t receive_message(int peer, void *bytes, size_t size, int *descriptor) {
  struct iovec part = {bytes, size};
  char control[CMSG_SPACE(sizeof(int))];
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t length = recvmsg(peer, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  *descriptor = -1;
  if (header != NULL && header->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
  return length;
}

static void name_entry(char *name, size_t size, const char *folder, const uint8_t *digest) {
  int at = snprintf(name, size, "%s/", folder);
  for (int i = 0; i < DIGEST_BYTES; i += 1) at += snprintf(name + at, size - (size_t)at, "%02x", digest[i]);
  snprintf(name + at, size - (size_t)at, ".aotcache");
}

/* "Translates": copies the program. Answers the entry's descriptor, or -1, having removed what did not fit. */
static int translate(const char *folder, int program, const uint8_t *digest) {
  static char buffer[COPY_BYTES];
  char name[PATH_BYTES + 128];
  name_entry(name, sizeof name, folder, digest);
  int entry = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  ssize_t count = -1;
  for (off_t at = 0; entry >= 0 && (count = pread(program, buffer, sizeof buffer, at)) > 0; at += count) {
    if (write(entry, buffer, (size_t)count) == count) continue;
    count = -1;
    break;
  }
  if (entry >= 0 && count < 0) {
    unlink(name);
    close(entry);
    return -1;
  }
  return entry;
}

static void serve_client(int peer, const char *folder) {
  static const uint8_t yes = 1;
  static const uint8_t no = 0;
  uint8_t request[257];
  int program;
  ssize_t length;
  while ((length = receive_message(peer, request, sizeof request, &program)) > 0 && request[0] != 'q') {
    uint8_t digest[DIGEST_BYTES];
    int entry = -1;
    if (request[0] == '?') {
      send_message(peer, &yes, 1, -1);
      continue;
    }
    if (request[0] == 'd' && length == 1 + DIGEST_BYTES) {
      char name[PATH_BYTES + 128];
      name_entry(name, sizeof name, folder, request + 1);
      entry = open(name, O_RDONLY | O_CLOEXEC);
    } else if (request[0] == 't' && program >= 0 && sha256(program, digest)) {
      entry = translate(folder, program, digest);
    }
    if (entry < 0) send_message(peer, &no, 1, -1);
    else {
      send_message(peer, &yes, 1, -1);
      if (request[0] == 't') send_message(peer, digest, sizeof digest, -1);
      send_message(peer, &yes, 1, entry);
      close(entry);
    }
    if (program >= 0) close(program);
  }
  close(peer);
}

static int run_daemon(const char *folder) {
  char name[PATH_BYTES + 32];
  struct sockaddr_un address;
  snprintf(name, sizeof name, "%s/starts", own_folder);
  int starts = open(name, O_WRONLY | O_CREAT | O_APPEND, 0644);
  dprintf(starts, "%d\n", (int)getpid());
  close(starts);
  if (!read_configured(&address)) return 64;
  snprintf(name, sizeof name, "%s/binds-configured", own_folder);
  if (access(name, F_OK) != 0) {
    char base[sizeof address.sun_path];
    snprintf(base, sizeof base, "%s", strrchr(address.sun_path, '/') + 1);
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/uds/%s", folder, base) >=
        (int)sizeof address.sun_path)
      return 65;
  }
  snprintf(name, sizeof name, "%s/private-folder", own_folder);
  if (access(name, F_OK) == 0) {
    snprintf(name, sizeof name, "%s/uds", folder);
    chmod(name, 0700);
  }
  int server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  snprintf(name, sizeof name, "%s/listens-late", own_folder);
  int late_us = access(name, F_OK) == 0 ? LATE_US : 0;
  if (bind(server, (struct sockaddr *)&address, sizeof address) != 0 || usleep(late_us) != 0 ||
      listen(server, 64) != 0) {
    fprintf(stderr, "rosetta error: Failed bind socket: %d\n", errno);
    __builtin_trap();
  }
  for (;;) {
    int peer = accept(server, NULL, NULL);
    if (peer >= 0) serve_client(peer, folder);
  }
}

static int run_client(const char *path) {
  struct sockaddr_un address;
  uint8_t request[1 + DIGEST_BYTES] = {'d'};
  uint8_t answer[DIGEST_BYTES];
  int entry;
  int program = open(path, O_RDONLY);
  int peer = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  const char *said = "none";
  if (program >= 0 && read_configured(&address) && connect(peer, (struct sockaddr *)&address, sizeof address) == 0) {
    const uint8_t translate_it = 't';
    sha256(program, request + 1);
    send_message(peer, request, sizeof request, -1);
    if (receive_message(peer, answer, sizeof answer, &entry) == 1 && answer[0] == 1) {
      said = "hit";
    } else {
      send_message(peer, &translate_it, 1, program);
      said = receive_message(peer, answer, sizeof answer, &entry) == 1 && answer[0] == 1 ? "translated" : "refused";
      if (answer[0] == 1 && receive_message(peer, answer, sizeof answer, &entry) != DIGEST_BYTES) said = "no digest";
    }
    if (said[0] == 'h' || said[0] == 't') {
      receive_message(peer, answer, 1, &entry);
      if (entry < 0) said = "no descriptor";
    }
  }
  puts(said);
  return 0;
}

int main(int argc, char **argv) {
  ssize_t length = readlink("/proc/self/exe", own_folder, sizeof own_folder - 1);
  if (length <= 0 || argc != 3) return 64;
  *strrchr(own_folder, '/') = '\0';
  if (strcmp(argv[1], "daemon") == 0) return run_daemon(argv[2]);
  if (strcmp(argv[1], "client") == 0) return run_client(argv[2]);
  return 64;
}
