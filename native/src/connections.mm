#include "connections.h"

#include <cerrno>
#include <fcntl.h>

namespace rosetta_vm {

Connection Connections::add(VZVirtioSocketConnection *connection) {
  if (kept_.size() >= kMaximumConnections) {
    [connection close];
    throw Failure(AddonFailure::tooMany, "There are too many connections to the guest.",
                  std::to_string(kMaximumConnections) + " are open and were not released.");
  }
  const int original = connection.fileDescriptor;
  // Above the standard streams; -1 is a connection that is closed already (EBADF).
  const int copy = fcntl(original, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) {
    const int error = errno;
    [connection close];
    throw Failure::posix(error, "The connection to the guest cannot be handed over.");
  }
  const int64_t number = next_++;
  kept_.emplace(number, connection);
  return {number, copy};
}

void Connections::release(int64_t connection) {
  const auto found = kept_.find(connection);
  if (found == kept_.end())
    throw Failure(AddonFailure::absent, "There is no such connection.", "It was released, or never made.");
  [found->second close];
  kept_.erase(found);
}

void Connections::releaseAll() {
  for (const auto &[number, connection] : kept_) [connection close];
  kept_.clear();
}

} // namespace rosetta_vm
