#include "lines.h"

#include <array>

namespace rosetta_vm {

namespace {

/// VZ_STATES of addon.ts: VZVirtualMachineState 0 to 9.
constexpr std::array<const char *, 10> kStates = {"stopped", "running",  "paused",   "error",  "starting",
                                                  "pausing", "resuming", "stopping", "saving", "restoring"};

std::string failureOrNull(const Failure *failure) { return failure == nullptr ? "null" : failure->json(); }

std::string success(int64_t id, const std::string &value) {
  return "{\"id\":" + std::to_string(id) + ",\"ok\":true,\"value\":" + value + "}";
}

} // namespace

std::string replyLine(int64_t id) { return success(id, "null"); }

std::string replyLine(int64_t id, const Connection &connection) {
  return success(id, "{\"connection\":" + std::to_string(connection.connection) +
                         ",\"fd\":" + std::to_string(connection.fd) + "}");
}

std::string replyLine(int64_t id, const Failure &failure) {
  return "{\"id\":" + std::to_string(id) + ",\"ok\":false,\"error\":" + failure.json() + "}";
}

std::optional<std::string> stateLine(long state) {
  if (state < 0 || state >= static_cast<long>(kStates.size())) return std::nullopt;
  return "{\"event\":\"state\",\"state\":\"" + std::string(kStates[static_cast<size_t>(state)]) + "\"}";
}

std::string stoppedLine(const Failure *failure) {
  return "{\"event\":\"stopped\",\"error\":" + failureOrNull(failure) + "}";
}

std::string diskLine(size_t disk, const Failure *failure) {
  return "{\"event\":\"disk\",\"disk\":" + std::to_string(disk) + ",\"kind\":\"" +
         (failure == nullptr ? "connected" : "error") + "\",\"error\":" + failureOrNull(failure) + "}";
}

std::string networkLine(const Failure &failure) {
  return "{\"event\":\"network\",\"error\":" + failure.json() + "}";
}

std::string wakeLine() { return "{\"event\":\"wake\"}"; }

} // namespace rosetta_vm
