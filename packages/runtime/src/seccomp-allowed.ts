/**
 * The system calls that the default seccomp profile allows, by what they are for. Names that a kernel, an architecture or
 * the installed libseccomp does not know are skipped by the runtime.
 */
const words = (text: string): readonly string[] => text.trim().split(/\s+/);

export const ALLOWED_ALWAYS: readonly string[] = [
  // Reading, writing and moving bytes
  ...words(`read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek sendfile sendfile64
    splice tee vmsplice copy_file_range readahead sync sync_file_range syncfs fsync fdatasync`),
  // Descriptors
  ...words(`open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock ioctl pipe pipe2 eventfd
    eventfd2 signalfd signalfd4 memfd_create memfd_secret name_to_handle_at`),
  // Files, names and attributes
  ...words(`stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx access faccessat faccessat2 chmod fchmod
    fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 link linkat symlink symlinkat readlink
    readlinkat rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir mknod mknodat truncate truncate64 ftruncate
    ftruncate64 fallocate fadvise64 fadvise64_64 utime utimes futimesat utimensat utimensat_time64 umask getdents
    getdents64 getcwd chdir fchdir statfs statfs64 fstatfs fstatfs64 inotify_init inotify_init1 inotify_add_watch
    inotify_rm_watch fanotify_mark getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat
    listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat`),
  // Waiting for events, and asynchronous input and output
  ...words(`poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl
    epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 io_setup io_destroy io_submit io_cancel io_getevents
    io_pgetevents io_pgetevents_time64`),
  // Memory
  ...words(`brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall
    remap_file_pages pkey_alloc pkey_free pkey_mprotect membarrier map_shadow_stack cachestat mseal process_mrelease`),
  // Processes and threads
  ...words(`fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid getpgrp setpgid
    getsid setsid getcpu prctl set_tid_address set_thread_area get_thread_area set_robust_list get_robust_list
    rseq restart_syscall pidfd_open pidfd_send_signal process_vm_readv process_vm_writev ptrace uretprobe`),
  // Futexes
  ...words("futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue"),
  // Scheduling, limits and accounting
  ...words(`sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
    sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval
    sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getrlimit ugetrlimit setrlimit prlimit64
    getrusage times sysinfo uname`),
  // Signals
  ...words(`kill tkill tgkill pause alarm sigaltstack sigprocmask sigreturn rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo`),
  // Clocks and timers; setting a clock needs CAP_SYS_TIME, which the kernel checks
  ...words(`time gettimeofday clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 nanosleep adjtimex clock_adjtime clock_adjtime64 getitimer setitimer timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64`),
  // Users, groups and capabilities
  ...words(`getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid
    getresgid32 getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid
    setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset
    getrandom seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self`),
  // Sockets; `socket` itself has a rule of its own
  ...words(`socketpair socketcall bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
    send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64`),
  // System V and POSIX communication
  ...words(`ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
    mq_open mq_unlink mq_notify mq_getsetattr mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64`),
];

/** Allowed besides on an architecture, named as `process.arch` does. */
export const ALLOWED_ON: Readonly<Record<string, readonly string[]>> = {
  x64: words("arch_prctl modify_ldt"),
  arm64: words("arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"),
};

/** Allowed besides for a container that holds the capability. */
export const ALLOWED_WITH: Readonly<Record<string, readonly string[]>> = {
  CAP_DAC_READ_SEARCH: words("open_by_handle_at"),
  CAP_SYS_ADMIN: words(`bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie
    mount mount_setattr move_mount open_tree perf_event_open quotactl
    quotactl_fd setdomainname sethostname setns statmount syslog umount umount2 unshare`),
  CAP_SYS_BOOT: words("reboot"),
  CAP_SYS_CHROOT: words("chroot"),
  CAP_SYS_MODULE: words("delete_module init_module finit_module"),
  CAP_SYS_PACCT: words("acct"),
  CAP_SYS_PTRACE: words("kcmp pidfd_getfd process_madvise"),
  CAP_SYS_RAWIO: words("iopl ioperm"),
  CAP_SYS_TIME: words("settimeofday stime clock_settime clock_settime64"),
  CAP_SYS_TTY_CONFIG: words("vhangup"),
  CAP_SYS_NICE: words("get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
  CAP_SYSLOG: words("syslog"),
  CAP_BPF: words("bpf"),
  CAP_PERFMON: words("perf_event_open"),
};
