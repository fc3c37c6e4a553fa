// The addon's face: VzAddon of host/drivers/vz/addon.ts on Node-API. The only file that knows N-API; it checks types and
// keeps the machines of its environment (a Worker loads the addon again and has its own).
#include <cmath>
#include <map>
#include <memory>
#include <napi.h>
#include <string>
#include <utility>

#include "core.h"
#include "failure.h"

namespace {

using rosetta_vm::AddonFailure;
using rosetta_vm::Failure;

/// A configuration is a few KiB: 26 disks and as many shares with the longest paths stay below.
constexpr size_t kMaximumConfigurationBytes = 1024 * 1024;
/// PATH_MAX of Linux; macOS has 1024.
constexpr size_t kMaximumArgumentBytes = 4096;
/// Number.MAX_SAFE_INTEGER.
constexpr double kMaximumSafeInteger = 9007199254740991.0;

Failure refused(const std::string &message, const std::string &reason) {
  return Failure(AddonFailure::invalid, message, reason);
}

std::string text(const Napi::Value &value, const std::string &name, size_t maximumBytes) {
  if (!value.IsString()) throw refused(name + " must be a text.", "The addon was called with something else.");
  std::string bytes = value.As<Napi::String>().Utf8Value();
  if (bytes.size() > maximumBytes)
    throw refused(name + " is too long.", "At most " + std::to_string(maximumBytes) + " bytes are taken.");
  if (bytes.find('\0') != std::string::npos) throw refused(name + " holds a NUL character.", "No path or name may.");
  return bytes;
}

int64_t index(const Napi::Value &value, const std::string &name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= kMaximumSafeInteger) || number != std::floor(number))
    throw refused(name + " must be an integer from 0.", "The addon was called with something else.");
  return static_cast<int64_t>(number);
}

rosetta_vm::Argument argument(const Napi::Value &value) {
  if (value.IsNull() || value.IsUndefined()) return std::monostate{};
  if (value.IsNumber()) return value.As<Napi::Number>().DoubleValue();
  return text(value, "The argument", kMaximumArgumentBytes);
}

/// Runs `work`; what it throws becomes a JavaScript error with the property `failure`.
template <typename Work> Napi::Value answer(Napi::Env env, Work work) {
  const auto raise = [env](const Failure &failure) {
    Napi::Error error = Napi::Error::New(env, failure.message);
    error.Set("failure", Napi::String::New(env, failure.json()));
    return error;
  };
  try {
    return work();
  } catch (const Napi::Error &) {
    throw;
  } catch (const Failure &failure) {
    throw raise(failure);
  } catch (const std::exception &error) {
    throw raise(refused("The addon failed.", error.what()));
  }
}

class VzAddon : public Napi::Addon<VzAddon> {
public:
  VzAddon(Napi::Env env, Napi::Object exports) {
    DefineAddon(exports, {
                             InstanceValue("protocol", Napi::Number::New(env, rosetta_vm::kProtocol), napi_enumerable),
                             InstanceMethod("hostReport", &VzAddon::hostReport),
                             InstanceMethod("newMachineIdentifier", &VzAddon::newMachineIdentifier),
                             InstanceMethod("createMachine", &VzAddon::createMachine),
                             InstanceMethod("request", &VzAddon::request),
                             InstanceMethod("closeMachine", &VzAddon::closeMachine),
                             InstanceMethod("installRosetta", &VzAddon::installRosetta),
                             InstanceMethod("watchWake", &VzAddon::watchWake),
                         });
  }

  /// The environment ends: no machine outlives it.
  ~VzAddon() {
    for (const auto &[handle, machine] : machines_) machine->close();
  }

private:
  Napi::Value hostReport(const Napi::CallbackInfo &call) {
    return Napi::String::New(call.Env(), rosetta_vm::hostReport());
  }

  Napi::Value newMachineIdentifier(const Napi::CallbackInfo &call) {
    return answer(call.Env(), [&]() -> Napi::Value {
      return Napi::String::New(call.Env(), rosetta_vm::newMachineIdentifier());
    });
  }

  Napi::Value createMachine(const Napi::CallbackInfo &call) {
    return answer(call.Env(), [&]() -> Napi::Value {
      const std::string configuration = text(call[0], "The configuration", kMaximumConfigurationBytes);
      rosetta_vm::CreatedMachine created = rosetta_vm::createMachine(configuration);
      const int64_t handle = nextHandle_++;
      machines_.emplace(handle, std::move(created.machine));
      Napi::Object result = channel(call.Env(), created.events);
      result.Set("handle", Napi::Number::New(call.Env(), static_cast<double>(handle)));
      return result;
    });
  }

  Napi::Value request(const Napi::CallbackInfo &call) {
    return answer(call.Env(), [&]() -> Napi::Value {
      const auto found = machines_.find(index(call[0], "The handle"));
      if (found == machines_.end())
        throw Failure(AddonFailure::absent, "There is no such machine.", "It was closed, or never made here.");
      const int64_t id = index(call[1], "The id");
      const std::string name = text(call[2], "The verb", kMaximumArgumentBytes);
      const std::optional<rosetta_vm::Verb> verb = rosetta_vm::verbNamed(name);
      if (!verb) throw refused("There is no verb \"" + name + "\".", "The addon and its caller differ in version.");
      const rosetta_vm::Request request{id, *verb, argument(call[3])};
      rosetta_vm::checkArgument(request);
      found->second->request(request);
      return call.Env().Undefined();
    });
  }

  Napi::Value closeMachine(const Napi::CallbackInfo &call) {
    return answer(call.Env(), [&]() -> Napi::Value {
      const auto found = machines_.find(index(call[0], "The handle"));
      if (found != machines_.end()) {
        found->second->close();
        machines_.erase(found);
      }
      return call.Env().Undefined();
    });
  }

  Napi::Value installRosetta(const Napi::CallbackInfo &call) {
    return answer(call.Env(), [&]() -> Napi::Value { return channel(call.Env(), rosetta_vm::installRosetta()); });
  }

  Napi::Value watchWake(const Napi::CallbackInfo &call) {
    return answer(call.Env(), [&]() -> Napi::Value { return channel(call.Env(), rosetta_vm::watchWake()); });
  }

  static Napi::Object channel(Napi::Env env, int events) {
    Napi::Object result = Napi::Object::New(env);
    result.Set("events", Napi::Number::New(env, events));
    return result;
  }

  std::map<int64_t, std::shared_ptr<rosetta_vm::Machine>> machines_;
  int64_t nextHandle_ = 1;
};

} // namespace

NODE_API_ADDON(VzAddon)
