// SPDX-License-Identifier: GPL-2.0
/*
 * load_test - the module in a kernel that lacks something, or does not let it be called. Each test
 * loads the module with the parameter that makes this kernel such a one; FAULTLINE_MODULE names
 * faultline.ko.
 */
#include "kselftest_harness.h"

#include "common.h"

#define IBT FL_DIR "ibt"
#define BOUND_MS 60000 /* for what must happen at all; a machine may be slow */

FIXTURE(load)
{
	const char *module;
};

FIXTURE_SETUP(load)
{
	self->module = getenv("FAULTLINE_MODULE");
	if (!self->module || access(self->module, R_OK))
		SKIP(return, "FAULTLINE_MODULE must name faultline.ko");
	ASSERT_EQ(0, access(FL_DIR, F_OK)) TH_LOG("is the module loaded, are you root?");
}

FIXTURE_TEARDOWN(load)
{
	/* The next test finds it as this one did. */
	module_unload(BOUND_MS);
	EXPECT_EQ(0, module_load(self->module));
}

/* The module anew: 0, or the errno. */
static int load_again(const char *module, const char *parameters)
{
	if (module_unload(BOUND_MS))
		return EBUSY;
	return module_load_with(module, parameters) ? errno : 0;
}

/* What the file says of a place: "endbr", "sealed", "none", or why not. */
static const char *endbr_at(const char *place)
{
	static char text[256];
	char *last;
	ssize_t n;
	int file = open(IBT, O_RDWR | O_CLOEXEC);

	if (file < 0)
		return "no file";
	if (write(file, place, strlen(place)) < 0) {
		close(file);
		return "refused";
	}
	n = pread(file, text, sizeof(text) - 1, 0);
	close(file);
	text[n < 0 ? 0 : n] = '\0';
	text[strcspn(text, "\n")] = ' '; /* of the two lines, the second's last word */
	text[strcspn(text, "\n")] = '\0';
	last = strrchr(text, ' ');
	return last ? last + 1 : text;
}

static int ibt_is(const char *state)
{
	const char *text = read_file(IBT);

	return !strncmp(text, "ibt ", 4) && !strncmp(text + 4, state, strlen(state));
}

TEST_F(load, an_endbr_is_told_from_what_is_none)
{
	EXPECT_STREQ("refused", endbr_at("there_is_no_such_function"));
	EXPECT_STREQ("refused", endbr_at("vfs_fallocate+one"));
	EXPECT_STREQ("refused", endbr_at("vfs_fallocate+4097"));
	if (ibt_is("absent")) {
		EXPECT_STREQ("none", endbr_at("vfs_fallocate"));
		return;
	}
	/* An export takes its address. */
	EXPECT_STREQ("endbr", endbr_at("vfs_fallocate"));
	EXPECT_STREQ("none", endbr_at("vfs_fallocate+1"));
	EXPECT_STREQ("none", endbr_at("linux_banner"));
}

TEST_F(load, a_function_without_endbr_is_not_called)
{
	char found[16];

	if (ibt_is("absent"))
		SKIP(return, "a kernel with CONFIG_X86_KERNEL_IBT");
	snprintf(found, sizeof(found), "%s", endbr_at("kallsyms_lookup_name"));
	if (!strcmp(found, "endbr")) {
		ASSERT_EQ(0, load_again(self->module, "assume_ibt=1"));
		EXPECT_TRUE(ibt_is("assumed") || ibt_is("on"));
		return;
	}
	ASSERT_STREQ("sealed", found);
	ASSERT_EQ(EOPNOTSUPP, load_again(self->module, "assume_ibt=1"));
	EXPECT_NE(0, access(FL_DIR, F_OK));
	ASSERT_EQ(0, module_load(self->module));
	EXPECT_TRUE(ibt_is("off"));
}

TEST_HARNESS_MAIN
