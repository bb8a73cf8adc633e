// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * Program starts, forks and exits, as seen by the kernel, into a ring buffer.
 *
 * What it is: three BTF tracepoint programs that only observe. Kernel structures are declared with
 * just the fields we use; the loader relocates their offsets on the running kernel (CO-RE), so no
 * vmlinux.h is needed to build it. fentry and LSM programs are avoided: many kernels refuse them.
 * What it is not: no decision, no blocking, no file or network events.
 * The record layout is read by src/source/ebpf.rs; change both together.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define CORE __attribute__((preserve_access_index))

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
} CORE;

struct task_struct {
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct mm_struct *mm;
} CORE;

struct linux_binprm {
	const char *filename;
	const char *interp;
} CORE;

#define KIND_EXEC 1
#define KIND_FORK 2
#define KIND_EXIT 3

#define PATH_BYTES 256
/* A power of two: the verifier learns the bound of a read from the mask. */
#define ARGS_BYTES 4096

struct head {
	u32 kind;
	u32 pid;	/* exec, exit: the process; fork: the child */
	u32 parent;	/* exec: real parent now; fork: who forked */
	u32 uid;
	u32 args_total;	/* bytes of arguments in all; more than args_length when cut */
	u32 args_length;
};

struct record {
	struct head head;
	char path[PATH_BYTES];
	char args[ARGS_BYTES];
};

#define EXEC_BYTES __builtin_offsetof(struct record, args)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct record);
} scratch SEC(".maps");

/* Records that found no room: evidence, never hidden. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} drops SEC(".maps");

static __always_inline void dropped(void)
{
	u32 zero = 0;
	u64 *count = bpf_map_lookup_elem(&drops, &zero);

	if (count)
		*count += 1;
}

static __always_inline void send(void *record, u64 bytes)
{
	if (bpf_ringbuf_output(&events, record, bytes, 0))
		dropped();
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	u32 zero = 0;
	struct record *record = bpf_map_lookup_elem(&scratch, &zero);
	struct mm_struct *mm;
	unsigned long start;
	u64 total = 0, length = 0;

	if (!record)
		return 0;
	record->head.kind = KIND_EXEC;
	record->head.pid = task->tgid;
	record->head.parent = task->real_parent->tgid;
	record->head.uid = (u32)bpf_get_current_uid_gid();
	/* interp is the program that really runs; for a script it is the interpreter */
	if (bpf_probe_read_kernel_str(record->path, PATH_BYTES, bprm->interp) < 0)
		record->path[0] = 0;
	mm = task->mm;
	if (mm) {
		start = mm->arg_start;
		total = mm->arg_end - start;
		length = total < ARGS_BYTES ? total : ARGS_BYTES - 1;
		length &= ARGS_BYTES - 1;
		if (bpf_probe_read_user(record->args, length, (void *)start))
			length = 0;
	}
	record->head.args_total = (u32)total;
	record->head.args_length = (u32)length;
	send(record, EXEC_BYTES + (length & (ARGS_BYTES - 1)));
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct head head = {};

	if (child->pid != child->tgid)
		return 0; /* a thread */
	head.kind = KIND_FORK;
	head.pid = child->tgid;
	head.parent = parent->tgid;
	head.uid = (u32)bpf_get_current_uid_gid();
	send(&head, sizeof(head));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct head head = {};

	if (task->pid != task->tgid)
		return 0; /* a thread */
	head.kind = KIND_EXIT;
	head.pid = task->tgid;
	send(&head, sizeof(head));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
