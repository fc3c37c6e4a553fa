#include "paths.h"
#include "objc_failure.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rosetta_vm {

namespace {

const char *absolutePath(NSString *path, const std::string &subject) {
  // Not isAbsolutePath, which also takes "~/…".
  if (![path hasPrefix:@"/"])
    throw Failure(AddonFailure::invalid, "A path is not absolute.", toText(path), subject);
  return path.fileSystemRepresentation;
}

struct stat look(NSString *path, const std::string &subject) {
  struct stat found;
  if (stat(absolutePath(path, subject), &found) != 0)
    throw Failure::posix(errno, toText(path) + " cannot be found.", subject);
  return found;
}

/// Owns `fd` from now on.
NSFileHandle *handleOf(int fd) { return [[NSFileHandle alloc] initWithFileDescriptor:fd closeOnDealloc:YES]; }

int openFile(NSString *path, int flags, const std::string &subject) {
  const char *bytes = absolutePath(path, subject);
  int fd;
  do {
    fd = open(bytes, flags | O_CLOEXEC, S_IRUSR | S_IWUSR);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) throw Failure::posix(errno, toText(path) + " cannot be opened.", subject);
  return fd;
}

} // namespace

NSURL *fileURL(NSString *path, const std::string &subject) {
  absolutePath(path, subject);
  return [NSURL fileURLWithPath:path];
}

NSURL *existingFile(NSString *path, const std::string &subject) {
  const struct stat found = look(path, subject);
  if (S_ISDIR(found.st_mode)) throw Failure::posix(EISDIR, toText(path) + " is a directory.", subject);
  if (!S_ISREG(found.st_mode)) throw Failure::posix(EINVAL, toText(path) + " is no regular file.", subject);
  return [NSURL fileURLWithPath:path isDirectory:NO];
}

NSURL *diskFile(NSString *path, bool readOnly, const std::string &subject) {
  NSURL *url = existingFile(path, subject);
  if (access(path.fileSystemRepresentation, readOnly ? R_OK : R_OK | W_OK) != 0)
    throw Failure::posix(errno, toText(path) + (readOnly ? " cannot be read." : " cannot be written to."), subject);
  return url;
}

NSURL *existingDirectory(NSString *path, const std::string &subject) {
  if (!S_ISDIR(look(path, subject).st_mode)) throw Failure::posix(ENOTDIR, toText(path) + " is no directory.", subject);
  return [NSURL fileURLWithPath:path isDirectory:YES];
}

NSFileHandle *openDevice(NSString *path, bool readOnly, const std::string &subject) {
  const mode_t mode = look(path, subject).st_mode;
  // /dev/rdiskN is the raw character device of /dev/diskN.
  if (!S_ISBLK(mode) && !S_ISCHR(mode)) throw Failure::posix(ENOTBLK, toText(path) + " is no disk device.", subject);
  return handleOf(openFile(path, readOnly ? O_RDONLY : O_RDWR, subject));
}

NSFileHandle *openLog(NSString *path, const std::string &subject) {
  // O_NONBLOCK: a FIFO without a reader must fail here and not wait; regular files know no such thing.
  const int fd = openFile(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, subject);
  NSFileHandle *handle = handleOf(fd);
  struct stat found;
  if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode))
    throw Failure::posix(EINVAL, toText(path) + " is no regular file.", subject);
  return handle;
}

} // namespace rosetta_vm
