// The writer's end of the socketpair on which a machine's lines go to JavaScript.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

namespace rosetta_vm {

/// Lines that wait for a reader who does not read; beyond it the channel is given up. An ordinary line is 100 bytes.
inline constexpr size_t kMaximumWaitingBytes = 1024 * 1024;

/**
 * Newline JSON to one reader, from any thread. `post` never waits for the reader: a thread of the channel's own writes,
 * so a machine's queue is never held up by JavaScript. A reader that closed its end, or that lets more than
 * kMaximumWaitingBytes wait, loses the channel: it sees the end.
 */
class EventChannel {
public:
  /// Makes the socketpair. Throws Failure (NSPOSIXErrorDomain).
  EventChannel();
  ~EventChannel();
  EventChannel(const EventChannel &) = delete;
  EventChannel &operator=(const EventChannel &) = delete;

  /// The reader's end, once; it is the caller's from then on. Not taken, it is closed with the channel.
  int takeReader();

  /// Queues a line (without its newline). False when the channel is closed or given up: nobody will read it.
  bool post(const std::string &line);

  /// Writes what waits, for a bounded time, then closes the writer's end. Returns at once; a second call does nothing.
  void close();

  /// A duplicate of the writer's end that becomes readable when the reader closed its own; the caller's. Throws Failure.
  int watchReader() const;

private:
  struct State;
  std::shared_ptr<State> state_;
  int reader_ = -1;
};

} // namespace rosetta_vm
