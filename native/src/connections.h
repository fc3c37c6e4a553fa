// vsock connections to the guest. Everything here is on the machine's queue.
#pragma once
#import <Virtualization/Virtualization.h>
#include <cstdint>
#include <functional>
#include <map>

#include "lines.h"

namespace rosetta_vm {

/// More than an engine's API, ports and terminals ever need at once; a leak ends here.
inline constexpr size_t kMaximumConnections = 4096;

/**
 * The framework's connections that were handed out as duplicates of their descriptors. Each is kept until it is
 * released, since its end may take the link down for the duplicate too.
 */
class Connections {
public:
  /// Keeps `connection` and gives a duplicate (F_DUPFD_CLOEXEC), which is the caller's. Throws Failure.
  Connection add(VZVirtioSocketConnection *connection);
  /// After the duplicate was closed. Throws Failure (`absent`).
  void release(int64_t connection);
  void releaseAll();

private:
  std::map<int64_t, VZVirtioSocketConnection *> kept_;
  int64_t next_ = 1;
};

} // namespace rosetta_vm
