/*
 * The init of containers that ask for one (`--init`): process 1 of the PID namespace. It starts the container's program,
 * passes signals on to it, collects every process that dies below it, and ends as the program does. Behaviour and exit
 * codes are tini's (github.com/krallin/tini), which Docker uses.
 *
 * Without a C library: one read-only page or two that all containers share, no memory of its own but a stack. It is made
 * by scripts/make-init.ts, which writes it into init-program.ts.
 */
typedef unsigned long word;
typedef unsigned long sigset;

#if defined(__x86_64__)
enum { WRITE = 1, RT_SIGACTION = 13, RT_SIGPROCMASK = 14, IOCTL = 16, EXECVE = 59, WAIT4 = 61, KILL = 62, SETPGID = 109,
  RT_SIGTIMEDWAIT = 128, EXIT_GROUP = 231, CLONE = 56 };
static long call(long n, word a, word b, word c, word d) {
  long r;
  register word r10 __asm__("r10") = d;
  register word r8 __asm__("r8") = 0;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return r;
}
__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call run\n");
#elif defined(__aarch64__)
enum { WRITE = 64, RT_SIGACTION = 134, RT_SIGPROCMASK = 135, IOCTL = 29, EXECVE = 221, WAIT4 = 260, KILL = 129,
  SETPGID = 154, RT_SIGTIMEDWAIT = 137, EXIT_GROUP = 94, CLONE = 220 };
static long call(long n, word a, word b, word c, word d) {
  register word x8 __asm__("x8") = n;
  register word x0 __asm__("x0") = a;
  register word x1 __asm__("x1") = b;
  register word x2 __asm__("x2") = c;
  register word x3 __asm__("x3") = d;
  register word x4 __asm__("x4") = 0;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl run\n");
#endif

enum { SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11, SIGCHLD = 17, SIGTTIN = 21,
  SIGTTOU = 22, SIGSYS = 31 };
enum { ENOENT = 2, EINTR = 4, EAGAIN = 11, EACCES = 13, ENOTDIR = 20 };
enum { TIOCSPGRP = 0x5410, WNOHANG = 1, SET_MASK = 2, PATH_LIMIT = 4096 };

#define BIT(s) (1UL << ((s)-1))

static word length(const char *text) {
  word n = 0;
  while (text[n]) n++;
  return n;
}

static void say(const char *text) { call(WRITE, 2, (word)text, length(text), 0); }

/* As execvp(3): a name without a slash is looked for in PATH. Returns the errno. */
static long execute(char **args, char **env) {
  const char *name = args[0], *path = "/usr/local/bin:/bin:/usr/bin";
  long failure = -ENOENT;
  for (const char *c = name; *c; c++)
    if (*c == '/') return call(EXECVE, (word)name, (word)args, (word)env, 0);
  for (char **e = env; *e; e++)
    if ((*e)[0] == 'P' && (*e)[1] == 'A' && (*e)[2] == 'T' && (*e)[3] == 'H' && (*e)[4] == '=') path = *e + 5;
  for (;;) {
    char full[PATH_LIMIT];
    word n = 0, m = length(name);
    while (path[n] && path[n] != ':') n++;
    if (n + m + 2 < PATH_LIMIT) {
      word at = 0;
      for (; at < n; at++) full[at] = path[at];
      if (n) full[at++] = '/';
      for (word i = 0; i <= m; i++) full[at++] = name[i];
      long result = call(EXECVE, (word)full, (word)args, (word)env, 0);
      if (result == -EACCES) failure = result;
      else if (result != -ENOENT && result != -ENOTDIR) return result;
    }
    if (!path[n]) return failure;
    path += n + 1;
  }
}

static void child(char **args, char **env, sigset *mask) {
  int group;
  /* A group of its own, in the foreground of the terminal if there is one: Ctrl-C must not reach us. */
  call(SETPGID, 0, 0, 0, 0);
  struct { void *handler; word flags; void *restorer; sigset mask; } ignore = {(void *)1, 0, 0, 0}, plain = {0, 0, 0, 0};
  call(RT_SIGACTION, SIGTTOU, (word)&ignore, 0, sizeof(sigset));
#if defined(__x86_64__)
  group = call(39, 0, 0, 0, 0);
#else
  group = call(172, 0, 0, 0, 0);
#endif
  call(IOCTL, 0, TIOCSPGRP, (word)&group, 0);
  call(RT_SIGACTION, SIGTTOU, (word)&plain, 0, sizeof(sigset));
  call(RT_SIGPROCMASK, SET_MASK, (word)mask, 0, sizeof(sigset));
  long error = execute(args, env);
  say("[FATAL docker-init] exec ");
  say(args[0]);
  say(error == -ENOENT ? " failed: No such file or directory\n"
                       : error == -EACCES ? " failed: Permission denied\n" : " failed\n");
  call(EXIT_GROUP, error == -ENOENT ? 127 : 126, 0, 0, 0);
}

/* Collects what has died; ends with the program's own status when it is among them and nothing more is left to collect. */
static void reap(long program) {
  static long code = -1;
  for (;;) {
    int status = 0;
    long pid = call(WAIT4, -1, (word)&status, WNOHANG, 0);
    if (pid == -EINTR) continue;
    if (pid <= 0) break;
    if (pid == program) code = (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
  }
  if (code >= 0) call(EXIT_GROUP, code, 0, 0, 0);
}

__attribute__((used)) void run(word *stack) {
  char **args = (char **)(stack + 2);
  char **env = (char **)(stack + 1 + stack[0] + 1);
  if (*args && (*args)[0] == '-' && (*args)[1] == '-' && !(*args)[2]) args++;
  if (!*args) {
    say("docker-init: no program given\n");
    call(EXIT_GROUP, 1, 0, 0, 0);
  }
  /* Faults of our own stay deadly; all else waits until we ask for it. */
  sigset all = ~(BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGABRT) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGSEGV) | BIT(SIGSYS) |
                 BIT(SIGTTIN) | BIT(SIGTTOU));
  sigset before = 0;
  call(RT_SIGPROCMASK, SET_MASK, (word)&all, (word)&before, sizeof(sigset));
  long program = call(CLONE, SIGCHLD, 0, 0, 0);
  if (program == 0) child(args, env, &before);
  if (program < 0) {
    say("docker-init: fork failed\n");
    call(EXIT_GROUP, 1, 0, 0, 0);
  }
  for (;;) {
    long signal = call(RT_SIGTIMEDWAIT, (word)&all, 0, 0, sizeof(sigset));
    if (signal == SIGCHLD) reap(program);
    else if (signal > 0) call(KILL, program, signal, 0, 0);
  }
}
