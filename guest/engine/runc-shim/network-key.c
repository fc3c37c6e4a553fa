#include "network-key.h"

#include "../../freestanding/linux.h"
#include "config.h"
#include "json.h"
#include "writer.h"

enum {
  MAX_PATH_BYTES = 4096,
  /* What a pipe takes without a reader (pipe(7)): the state must fit for dockerd's program to read it again. */
  MAX_STATE_BYTES = 64 * 1024,
  /* As much as dockerd's program reads. */
  MAX_ANSWER_BYTES = 1024,
  MAX_REQUEST_BYTES = 1024,
  MAX_PID_DIGITS = 10,
  ARGUMENTS = 5,
  STATUS_CANNOT_START = 126,
};
static const char EXEC_ROOT[] = "-exec-root=";

/* include/uapi/linux/un.h, socket(7) */
struct unix_address {
  uint16_t family;
  char path[108];
};
enum { AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = O_CLOEXEC };

/* `/proc/<process>/exe`: how dockerd names its own program. */
static int is_own_program(const char *path) {
  struct text rest = text_of(path);
  if (!is_text(take_until(&rest, '/'), "") || !is_text(take_until(&rest, '/'), "proc")) return 0;
  struct text process = take_until(&rest, '/');
  for (size_t i = 0; i < process.length; i += 1) {
    if (process.at[i] < '0' || process.at[i] > '9') return 0;
  }
  return process.length > 0 && is_text(rest, "exe");
}

static int is_network_key_hook(struct text hook) {
  static char program[MAX_PATH_BYTES];
  return is_hook(hook, NETWORK_KEY_COMMAND) && json_string(json_member(hook, "path"), program, sizeof program) &&
         is_own_program(program);
}

static void write_between(struct writer *to, const char *from, const char *end) {
  write_text(to, (struct text){from, (size_t)(end - from)});
}

static size_t take_hook(struct text config, struct text hook, char *output, size_t size) {
  static char own_path[MAX_PATH_BYTES];
  struct writer to = {output, size, 0};
  struct text path = json_member(hook, "path");
  struct text args = json_member(hook, "args");
  const char *args_end = args.at + args.length - 1;
  long own_length = link_target("/proc/self/exe", own_path, sizeof own_path);
  if (own_length <= 0) return 0;
  const char *from = config.at;
  /* Encoders order members as they like. */
  for (int part = 0; part < 2; part += 1) {
    if ((part == 0) == (path.at < args.at)) {
      write_between(&to, from, path.at);
      write_quoted(&to, (struct text){own_path, (size_t)own_length});
      from = path.at + path.length;
    } else {
      write_between(&to, from, args_end);
      write_plain(&to, ",");
      write_text(&to, path);
      from = args_end;
    }
  }
  write_between(&to, from, config.at + config.length);
  return to.full ? 0 : size - to.left;
}

size_t take_network_key_hook(struct text config, char *output, size_t size) {
  struct json_items hooks;
  struct text none;
  struct text hook;
  struct text prestart = json_member(json_member(json_value(config), "hooks"), "prestart");
  if (!json_open(prestart, '[', &hooks)) return 0;
  while (json_next(&hooks, &none, &hook)) {
    if (is_network_key_hook(hook)) return take_hook(config, hook, output, size);
  }
  return 0;
}

/* Standard input to its end; of length 0 when it is empty or does not fit. */
static struct text read_state(char *buffer) {
  struct text state = {buffer, 0};
  long length;
  while (state.length < MAX_STATE_BYTES &&
         (length = read_file(STDIN, buffer + state.length, MAX_STATE_BYTES - state.length)) > 0) {
    state.length += (size_t)length;
  }
  return state.length == MAX_STATE_BYTES ? (struct text){buffer, 0} : state;
}

/* Connects to dockerd's socket for this; negative when there is none. */
static int connect_controller(struct text exec_root, struct text controller) {
  struct unix_address address = {.family = AF_UNIX};
  struct writer path = {address.path, sizeof address.path - 1, 0};
  write_text(&path, exec_root);
  write_plain(&path, "/libnetwork/");
  write_text(&path, controller);
  write_plain(&path, ".sock");
  if (path.full) return -1;
  int file = (int)syscall6(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, 0, 0);
  if (file < 0) return file;
  if (syscall6(SYS_connect, file, (long)&address, sizeof address, 0, 0, 0) == 0) return file;
  close_file(file);
  return -1;
}

/* Answers whether the whole of the line went out. */
static int send_line(int file, struct text container, struct text process) {
  char request[MAX_REQUEST_BYTES];
  struct writer to = {request, sizeof request, 0};
  write_plain(&to, "{\"ContainerID\":");
  write_quoted(&to, container);
  write_plain(&to, ",\"Key\":\"/proc/");
  write_text(&to, process);
  write_plain(&to, "/ns/net\"}");
  long length = (long)(sizeof request - to.left);
  return !to.full && write_file(file, request, (size_t)length) == length;
}

/* Becomes dockerd's own program, as the hook was, with the state that was read already. Answers only when it cannot. */
static int become_dockerd(const struct process *self, struct text state) {
  int ends[2];
  char *program = self->argv[self->argc - 1];
  self->argv[self->argc - 1] = NULL;
  if (syscall6(SYS_pipe2, (long)ends, O_CLOEXEC, 0, 0, 0, 0) == 0 &&
      write_file(ends[1], state.at, state.length) == (long)state.length) {
    syscall6(SYS_dup3, ends[0], STDIN, 0, 0, 0, 0);
    execute(program, self->argv, self->envp);
  }
  static const char message[] = "rosetta-vm: dockerd's own hook for the network cannot be started.\n";
  write_file(STDERR, message, sizeof message - 1);
  return STATUS_CANNOT_START;
}

int send_network_key(const struct process *self) {
  static char bytes[MAX_STATE_BYTES];
  static char answer[MAX_ANSWER_BYTES];
  if (self->argc < 2) return STATUS_CANNOT_START;
  struct text state = read_state(bytes);
  struct text process = json_member(json_value(state), "pid");
  struct text exec_root = text_of(self->argv[1]);
  int known = self->argc == ARGUMENTS && begins_with(exec_root, EXEC_ROOT) && process.length > 0 &&
              process.length <= MAX_PID_DIGITS;
  take_until(&exec_root, '=');
  int controller = known ? connect_controller(exec_root, text_of(self->argv[3])) : -1;
  if (controller < 0) return become_dockerd(self, state);
  if (!send_line(controller, text_of(self->argv[2]), process)) return become_dockerd(self, state);
  long length = read_file(controller, answer, sizeof answer);
  struct text said = {answer, length < 0 ? 0 : (size_t)length};
  if (is_text(said, "success")) return 0;
  write_file(STDERR, said.at, said.length);
  return 1;
}
