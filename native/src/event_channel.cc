#include "event_channel.h"
#include "failure.h"

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <fcntl.h>
#include <mutex>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace rosetta_vm {

namespace {

/// How long one write may wait for a reader that does not read, seconds: then the channel looks whether it was closed.
constexpr int kWriteTimeoutSeconds = 2;

// A reader that is gone must be EPIPE and no signal: macOS sets that on the socket, Linux on each call.
#if defined(MSG_NOSIGNAL)
constexpr int kSendFlags = MSG_NOSIGNAL;
#else
constexpr int kSendFlags = 0;
#endif

void prepareWriter(int fd) {
  const timeval timeout{kWriteTimeoutSeconds, 0};
  if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) != 0)
    throw Failure::posix(errno, "The time limit of the channel of events could not be set.");
#if defined(SO_NOSIGPIPE)
  const int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) != 0)
    throw Failure::posix(errno, "SIGPIPE could not be turned off for the channel of events.");
#endif
}

} // namespace

struct EventChannel::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> waiting;
  size_t waitingBytes = 0;
  bool closing = false;
  bool broken = false;
  int writer = -1;

  ~State() {
    if (writer >= 0) ::close(writer);
  }

  /// The channel's thread: writes line by line until the channel is closed and empty, or broken.
  void run() {
    while (true) {
      std::string line;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return closing || broken || !waiting.empty(); });
        if (broken || waiting.empty()) break;
        line = std::move(waiting.front());
        waiting.pop_front();
      }
      const bool written = write(line);
      const std::lock_guard lock(mutex);
      waitingBytes -= line.size();
      if (!written) {
        broken = true;
        break;
      }
    }
    const std::lock_guard lock(mutex);
    broken = true;
    waiting.clear();
    ::close(writer);
    writer = -1;
  }

  bool write(const std::string &line) {
    for (size_t done = 0; done < line.size();) {
      const ssize_t sent = ::send(writer, line.data() + done, line.size() - done, kSendFlags);
      if (sent >= 0) {
        done += static_cast<size_t>(sent);
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        const std::lock_guard lock(mutex);
        if (closing || broken) return false;
      } else if (errno != EINTR) {
        return false;
      }
    }
    return true;
  }
};

EventChannel::EventChannel() : state_(std::make_shared<State>()) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
    throw Failure::posix(errno, "The channel of events could not be made.");
  reader_ = ends[0];
  state_->writer = ends[1];
  try {
    for (const int end : ends) {
      if (fcntl(end, F_SETFD, FD_CLOEXEC) != 0)
        throw Failure::posix(errno, "The channel of events could not be kept from child processes.");
    }
    prepareWriter(state_->writer);
    std::thread([state = state_] { state->run(); }).detach();
  } catch (...) {
    ::close(reader_);
    throw;
  }
}

EventChannel::~EventChannel() {
  close();
  if (reader_ >= 0) ::close(reader_);
}

int EventChannel::takeReader() { return std::exchange(reader_, -1); }

bool EventChannel::post(const std::string &line) {
  const std::lock_guard lock(state_->mutex);
  if (state_->closing || state_->broken) return false;
  if (state_->waitingBytes + line.size() + 1 > kMaximumWaitingBytes) {
    state_->broken = true;
  } else {
    state_->waiting.push_back(line + '\n');
    state_->waitingBytes += line.size() + 1;
  }
  state_->changed.notify_one();
  return !state_->broken;
}

void EventChannel::close() {
  const std::lock_guard lock(state_->mutex);
  state_->closing = true;
  state_->changed.notify_one();
}

int EventChannel::watchReader() const {
  const std::lock_guard lock(state_->mutex);
  const int copy = fcntl(state_->writer, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw Failure::posix(errno, "The channel of events could not be watched.");
  return copy;
}

} // namespace rosetta_vm
