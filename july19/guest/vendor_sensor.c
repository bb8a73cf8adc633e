// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for a vendor's kernel sensor: sound code that trusts its content file.
 *
 * The content names which of the sensor's inputs its rule looks at. The code that reads it believes the
 * number. There are twenty inputs; a content file that asks for input 21 makes it follow a pointer that
 * was never there, in kernel mode, on every boot. With number 0 it never comes back instead.
 */
#include <linux/kernel_read_file.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#define INPUTS 20

static char *content = "";
module_param(content, charp, 0444);
MODULE_PARM_DESC(content, "path of the content file");

struct input {
	unsigned long events;
};

struct template_instance {
	struct input *inputs[INPUTS];
	/* What follows the array is not a pointer. */
	unsigned long not_an_input[4];
};

static struct input all[INPUTS];
static struct template_instance instance;

static int __init vendor_sensor_init(void)
{
	void *bytes = NULL;
	size_t size = 0;
	unsigned int wanted = 0;
	char text[16] = {};
	int n, err;

	for (n = 0; n < INPUTS; n++)
		instance.inputs[n] = &all[n];
	for (n = 0; n < 4; n++)
		instance.not_an_input[n] = 0x9c00000021ul;
	n = kernel_read_file_from_path(content, 0, &bytes, 4096, &size, READING_POLICY);
	if (n < 0) {
		pr_err("vendor_sensor: cannot read %s: %d\n", content, n);
		return n;
	}
	memcpy(text, bytes, min_t(size_t, n, sizeof(text) - 1));
	vfree(bytes);
	err = sscanf(text, "input %u", &wanted);
	if (err != 1)
		return -EINVAL;
	if (wanted == 0) {
		preempt_disable();
		for (;;)
			cpu_relax();
	}
	/* No bounds check: that is the fault. */
	OPTIMIZER_HIDE_VAR(wanted);
	pr_info("vendor_sensor: watches input %u, %lu events so far\n", wanted,
		READ_ONCE(instance.inputs[wanted - 1]->events));
	return 0;
}

static void __exit vendor_sensor_exit(void)
{
}

module_init(vendor_sensor_init);
module_exit(vendor_sensor_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("a vendor's kernel sensor that believes its content");
