// A stand-in for the Objective-C++ core, so that the rest of the addon (Node-API face, verbs, lines, channel) runs in
// Node on Linux. Its machine echoes: it knows nothing of virtual machines.
#include "core.h"
#include "event_channel.h"
#include "failure.h"
#include "lines.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

namespace rosetta_vm {

namespace {

class EchoMachine : public Machine {
public:
  explicit EchoMachine(std::shared_ptr<EventChannel> channel) : channel_(std::move(channel)) {}

  void request(const Request &request) override {
    switch (request.verb) {
    case Verb::start:
      for (long state = 0; state < 12; state++) {
        const auto line = stateLine(state);
        if (line) channel_->post(*line);
      }
      channel_->post(replyLine(request.id));
      return;
    case Verb::stop:
      channel_->post(stoppedLine(nullptr));
      channel_->post(replyLine(request.id));
      return;
    case Verb::connect:
      channel_->post(replyLine(request.id, Connection{7, static_cast<int>(std::get<double>(request.argument))}));
      return;
    case Verb::save: {
      const Failure failure("VZErrorDomain", 11, std::get<std::string>(request.argument), "a \"reason\"\n\x01\xff",
                            "disks[1]");
      channel_->post(diskLine(3, &failure));
      channel_->post(diskLine(3, nullptr));
      channel_->post(networkLine(failure));
      channel_->post(stoppedLine(&failure));
      channel_->post(replyLine(request.id, failure));
      return;
    }
    case Verb::balloon: {
      // As many lines as asked for, from two threads at once; the last reply tells how many were taken.
      const auto count = static_cast<int>(std::get<double>(request.argument));
      int taken = 0;
      std::thread other([&] {
        for (int at = 0; at < count; at++) channel_->post(wakeLine());
      });
      for (int at = 0; at < count; at++) taken += channel_->post(wakeLine()) ? 1 : 0;
      other.join();
      channel_->post(replyLine(request.id, Connection{taken, 0}));
      return;
    }
    default:
      channel_->post(replyLine(request.id));
    }
  }

  void close() override { channel_->close(); }

private:
  std::shared_ptr<EventChannel> channel_;
};

} // namespace

std::string hostReport() noexcept { return "{}"; }

std::string newMachineIdentifier() { return "YQ=="; }

CreatedMachine createMachine(const std::string &configuration) {
  if (configuration == "fail") throw Failure("VZErrorDomain", 2, "No entitlement.", "None at all.", "");
  if (configuration == "long") {
    std::string text;
    for (int at = 0; at < 9000; at++) text += "\xc3\xa4";
    throw Failure("VZErrorDomain", 1, "x" + text, text, text);
  }
  if (configuration == "throw") throw std::runtime_error("out of luck");
  auto channel = std::make_shared<EventChannel>();
  const int events = channel->takeReader();
  return {std::make_shared<EchoMachine>(std::move(channel)), events};
}

int installRosetta() {
  EventChannel channel;
  channel.post(replyLine(0));
  return channel.takeReader();
}

int watchWake() {
  // As the core does: the watch ends when the reader closes, which a read of the duplicate tells.
  auto channel = std::make_shared<EventChannel>();
  const int watched = channel->watchReader();
  std::thread([channel, watched] {
    channel->post(wakeLine());
    char byte;
    if (::read(watched, &byte, 1) == 0) channel->close();
    ::close(watched);
  }).detach();
  return channel->takeReader();
}

} // namespace rosetta_vm
