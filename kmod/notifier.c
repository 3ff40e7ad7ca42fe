// SPDX-License-Identifier: GPL-2.0
/*
 * notifier.c - a secondary MMU without pages, which only notes each
 * invalidation and its time.
 */
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>

#include "notifier.h"
#include "pgtable_lines.h"

#ifdef CONFIG_MMU_NOTIFIER

#define FL_MAX_NOTES 256

struct fl_note {
	bool end; /* of an invalidation, else its start */
	unsigned int event;
	unsigned long from, to;
	u64 at_ns;
};

struct fl_listener {
	struct mmu_notifier notifier;
	struct mutex lock; /* mm, and the registration */
	struct mm_struct *mm; /* NULL: not registered */
	spinlock_t notes_lock;
	unsigned long start, end;
	unsigned int nr; /* may exceed FL_MAX_NOTES: invalidations seen */
	struct fl_note notes[FL_MAX_NOTES];
};

/* May be in a section that must not sleep. */
static void fl_note(struct mmu_notifier *notifier,
		    const struct mmu_notifier_range *range, bool end)
{
	struct fl_listener *listener =
		container_of(notifier, struct fl_listener, notifier);
	unsigned long flags;

	spin_lock_irqsave(&listener->notes_lock, flags);
	if (range->start <= listener->start && listener->end <= range->end &&
	    listener->nr++ < FL_MAX_NOTES)
		listener->notes[listener->nr - 1] = (struct fl_note){
			.end = end,
			.event = range->event,
			.from = range->start,
			.to = range->end,
			.at_ns = ktime_get_mono_fast_ns(),
		};
	spin_unlock_irqrestore(&listener->notes_lock, flags);
}

static int fl_note_start(struct mmu_notifier *notifier,
			 const struct mmu_notifier_range *range)
{
	fl_note(notifier, range, false);
	return 0;
}

static void fl_note_end(struct mmu_notifier *notifier,
			const struct mmu_notifier_range *range)
{
	fl_note(notifier, range, true);
}

static const struct mmu_notifier_ops fl_notifier_ops = {
	.invalidate_range_start = fl_note_start,
	.invalidate_range_end = fl_note_end,
};

static int fl_listen(struct fl_listener *listener, unsigned long start,
		     unsigned long end)
{
	unsigned long flags;
	int err = 0;

	if (mutex_lock_killable(&listener->lock))
		return -EINTR;
	if (listener->mm && listener->mm != current->mm)
		err = -EPERM;
	if (!err) {
		spin_lock_irqsave(&listener->notes_lock, flags);
		listener->start = start;
		listener->end = end;
		listener->nr = 0;
		spin_unlock_irqrestore(&listener->notes_lock, flags);
	}
	if (!err && !listener->mm) {
		listener->notifier.ops = &fl_notifier_ops;
		err = mmu_notifier_register(&listener->notifier, current->mm);
		if (!err)
			listener->mm = current->mm;
	}
	mutex_unlock(&listener->lock);
	return err;
}

static void fl_listener_leave(struct fl_listener *listener)
{
	if (listener->mm)
		mmu_notifier_unregister(&listener->notifier, listener->mm);
}

static int fl_notifier_show(struct seq_file *m, void *unused)
{
	struct fl_listener *listener = m->private;
	struct fl_note *notes;
	unsigned int i, nr;

	notes = kvmalloc_array(FL_MAX_NOTES, sizeof(*notes), GFP_KERNEL);
	if (!notes)
		return -ENOMEM;
	spin_lock_irq(&listener->notes_lock);
	nr = listener->nr;
	memcpy(notes, listener->notes, sizeof(listener->notes));
	spin_unlock_irq(&listener->notes_lock);
	for (i = 0; i < nr && i < FL_MAX_NOTES; i++) {
		const struct fl_note *note = &notes[i];

		seq_printf(m,
			   FL_NOTIFIER_NOTE("%s", "%#lx", "%#lx", "%llu", "%u") "\n",
			   note->end ? "end" : "start", note->from, note->to,
			   note->at_ns, note->event);
	}
	if (nr > FL_MAX_NOTES)
		seq_puts(m, FL_NOTIFIER_MORE "\n");
	kvfree(notes);
	return 0;
}

#else /* !CONFIG_MMU_NOTIFIER */

struct fl_listener {
	char unused;
};

static int fl_listen(struct fl_listener *listener, unsigned long start,
		     unsigned long end)
{
	return -EOPNOTSUPP;
}

static void fl_listener_leave(struct fl_listener *listener)
{
}

static int fl_notifier_show(struct seq_file *m, void *unused)
{
	return 0;
}

#endif /* CONFIG_MMU_NOTIFIER */

static void fl_listener_init(struct fl_listener *listener)
{
#ifdef CONFIG_MMU_NOTIFIER
	mutex_init(&listener->lock);
	spin_lock_init(&listener->notes_lock);
#endif
}

static int fl_notifier_open(void *state, struct file *file)
{
	fl_listener_init(state);
	return 0;
}

static void fl_notifier_release(void *state)
{
	fl_listener_leave(state);
}

static int fl_notifier_command(void *state, char *text)
{
	unsigned long start, end;

	if (sscanf(text, FL_NOTIFIER_ASK("%lx", "%lx"), &start, &end) != 2 ||
	    start >= end)
		return -EINVAL;
	return fl_listen(state, start, end);
}

const struct fl_instrument fl_pgtable_notifier = {
	.file = {
		.size = sizeof(struct fl_listener),
		.open = fl_notifier_open,
		.release = fl_notifier_release,
		.command = fl_notifier_command,
		.show = fl_notifier_show,
	},
};
