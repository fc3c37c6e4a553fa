// The lines of a channel: VzLine of host/drivers/vz/addon.ts, without the newline.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "failure.h"

namespace rosetta_vm {

struct Connection {
  int64_t connection;
  int fd;
};

std::string replyLine(int64_t id);
std::string replyLine(int64_t id, const Connection &connection);
std::string replyLine(int64_t id, const Failure &failure);

/// `state` is a raw value of VZVirtualMachineState; nothing for one that addon.ts does not name (VZ_STATES).
std::optional<std::string> stateLine(long state);
/// `failure` null: the guest stopped by itself.
std::string stoppedLine(const Failure *failure);
/// `failure` null: the server was connected.
std::string diskLine(size_t disk, const Failure *failure);
std::string networkLine(const Failure &failure);
std::string wakeLine();

} // namespace rosetta_vm
