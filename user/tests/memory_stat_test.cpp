// SPDX-License-Identifier: GPL-2.0
#include "kernel/fd.hpp"
#include "kernel/memory_stat.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace faultline {
namespace {

using testing::ElementsAre;
using testing::Pair;

// The names of 6.12 (Debian), with values of a machine that has just booted.
constexpr const char* recorded_6_12 =
    "anon 372736\nfile 12288\nkernel 557056\nkernel_stack 65536\npagetables 122880\n"
    "sec_pagetables 0\npercpu 2880\nsock 0\nvmalloc 0\nshmem 8192\nzswap 0\nzswapped 0\n"
    "file_mapped 4096\nfile_dirty 0\nfile_writeback 0\nswapcached 0\nanon_thp 0\nfile_thp 0\n"
    "shmem_thp 0\ninactive_anon 368640\nactive_anon 4096\ninactive_file 0\nactive_file 0\n"
    "unevictable 0\nslab_reclaimable 143128\nslab_unreclaimable 187648\nslab 330776\n"
    "workingset_refault_anon 0\nworkingset_refault_file 0\nworkingset_activate_anon 0\n"
    "workingset_activate_file 0\nworkingset_restore_anon 0\nworkingset_restore_file 0\n"
    "workingset_nodereclaim 0\npgdemote_kswapd 0\npgdemote_direct 0\npgdemote_khugepaged 0\n"
    "pgscan 0\npgsteal 0\npgscan_kswapd 0\npgscan_direct 0\npgscan_khugepaged 0\n"
    "pgsteal_kswapd 0\npgsteal_direct 0\npgsteal_khugepaged 0\npgfault 1131\npgmajfault 0\n"
    "pgrefill 0\npgactivate 0\npgdeactivate 0\npglazyfree 0\npglazyfreed 0\nswpin_zero 0\n"
    "swpout_zero 0\nzswpin 0\nzswpout 0\nzswpwb 0\nthp_fault_alloc 0\nthp_collapse_alloc 0\n"
    "thp_swpout 0\nthp_swpout_fallback 0\nnuma_pages_migrated 0\nnuma_pte_updates 0\n"
    "numa_hint_faults 0\n";

bool named(std::string_view name) {
    const auto rows = memory_stat_rows();
    const auto out = memory_stat_left_out();
    return std::any_of(rows.begin(), rows.end(),
                       [name](const MemoryStatRow& row) { return row.name == name; }) ||
           std::any_of(out.begin(), out.end(), [name](const MemoryStatLeftOut& one) {
               return one.name.ends_with('*')
                          ? name.starts_with(one.name.substr(0, one.name.size() - 1))
                          : name == one.name;
           });
}

TEST(MemoryStatTest, ComparesACounterOrSaysWhyNot) {
    std::string_view text = recorded_6_12;
    while (const std::optional<std::string_view> line = next_line(text))
        EXPECT_TRUE(named(split_line(*line, ' ').name)) << *line;
    EXPECT_FALSE(named("something_new"));
    for (const MemoryStatLeftOut& one : memory_stat_left_out()) {
        EXPECT_FALSE(one.why.empty()) << one.name;
        for (const MemoryStatRow& row : memory_stat_rows())
            EXPECT_NE(row.name, one.name);
    }
    for (const MemoryStatRow& row : memory_stat_rows())
        EXPECT_NE(row.grows_as.empty(), row.of_processes.empty()) << row.name;
}

TEST(MemoryStatTest, ReadsTheCountersThatAreCompared) {
    const auto counters = parse_memory_stat(recorded_6_12);
    ASSERT_TRUE(counters.ok()) << counters.error().to_string();
    EXPECT_THAT(*counters,
                ElementsAre(Pair("anon", 372736), Pair("file", 12288), Pair("shmem", 8192),
                            Pair("swapcached", 0), Pair("anon_thp", 0), Pair("file_thp", 0),
                            Pair("shmem_thp", 0)));
    const std::string text = recorded_6_12;
    EXPECT_EQ(parse_memory_stat(text.substr(0, text.size() - 1)).error().number, EPROTO) << "cut";
    EXPECT_EQ(parse_memory_stat("anon\n").error().number, EPROTO);
    EXPECT_EQ(parse_memory_stat("anon x\n").error().number, EPROTO);
    EXPECT_EQ(parse_memory_stat("anon 1\nanon 1\n").error().number, EPROTO) << "twice";
    EXPECT_EQ(parse_memory_stat("pgfault 1\n").error().number, EPROTO) << "none that is compared";
    EXPECT_EQ(parse_memory_stat("").error().number, EPROTO);
}

constexpr const char* rollup = "559e5ad8f000-7ffd5a5f6000 ---p 00000000 00:00 0          [rollup]\n"
                               "Rss:                1804 kB\n"
                               "Pss:                 250 kB\n"
                               "Pss_Dirty:            88 kB\n"
                               "Pss_Anon:             86 kB\n"
                               "Pss_File:            164 kB\n"
                               "Anonymous:            88 kB\n"
                               "AnonHugePages:      2048 kB\n"
                               "Locked:                0 kB\n";

TEST(MemoryStatTest, ReadsARollup) {
    const auto counters = parse_rollup(rollup);
    ASSERT_TRUE(counters.ok()) << counters.error().to_string();
    EXPECT_THAT(*counters, ElementsAre(Pair("Pss_Anon", 86), Pair("AnonHugePages", 2048)));
    const std::string text = rollup;
    EXPECT_EQ(parse_rollup(text.substr(text.find('\n') + 1)).error().number, EPROTO) << "no head";
    EXPECT_EQ(parse_rollup(text.substr(0, text.size() - 1)).error().number, EPROTO) << "cut";
    EXPECT_EQ(parse_rollup(text.substr(0, text.find('\n') + 1)).error().number, EPROTO);
    EXPECT_EQ(parse_rollup("").error().number, EPROTO);
}

constexpr const char* mounts =
    "25 1 254:0 / / rw - ext4 /dev/vda rw\n"
    "31 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    "30 25 0:25 /part /sys/fs/cgroup/unified rw,nosuid shared:5 - cgroup2 cgroup2 rw\n";

TEST(MemoryStatTest, FindsTheCgroupOfATask) {
    const auto place = find_cgroup("5:cpu:/x\n0::/part/b\n", mounts);
    ASSERT_TRUE(place.ok()) << place.error().to_string();
    EXPECT_EQ(place->root, "/sys/fs/cgroup/unified");
    EXPECT_EQ(place->own, "/sys/fs/cgroup/unified/b");
    EXPECT_EQ(find_cgroup("0::/\n", "30 25 0:25 / /c rw - cgroup2 cgroup2 rw\n")->own, "/c");
    EXPECT_EQ(find_cgroup("", mounts).error().number, ENOENT);
    EXPECT_EQ(find_cgroup("4:cpu,memory:/a\n0::/b\n", mounts).error().number, ENOENT)
        << "version 1 has the controller";
    EXPECT_EQ(find_cgroup("4:cpu:/a\n", mounts).error().number, ENOENT);
    EXPECT_EQ(find_cgroup("0::/\n", "25 1 254:0 / / rw - ext4 a rw\n").error().number, ENOENT);
    EXPECT_EQ(find_cgroup("0::/\n", "25 1 254:0 / / rw\n").error().number, EPROTO);
    EXPECT_EQ(find_cgroup("0::/\n", "25 1 - cgroup2\n").error().number, EPROTO);
}

TEST(MemoryStatTest, SaysWhatFailed) {
    EXPECT_EQ(fold_memory_stat("/no/such/folder").error().number, ENOENT);
    EXPECT_EQ(fold_memory_stat("/no/such/folder").error().path, "/no/such/folder/memory.stat");
    EXPECT_EQ(anonymous_of("/no/such/folder").error().path, "/no/such/folder/cgroup.procs");
}

// A folder that looks like a cgroup.
class FakeCgroupTest : public testing::Test {
  protected:
    void SetUp() override { ASSERT_NE(::mkdtemp(folder_.data()), nullptr); }
    void TearDown() override {
        for (const char* file : {"/memory.stat", "/cgroup.procs"})
            ::unlink((folder_ + file).c_str());
        ::rmdir(folder_.c_str());
    }
    void write(const char* file, std::string_view text) const {
        const Result<Fd> open = Fd::open(folder_ + file, O_WRONLY | O_CREAT);
        ASSERT_TRUE(open.ok());
        ASSERT_TRUE(write_all(open->get(), text).ok());
    }
    std::string folder_ = testing::TempDir() + "faultline-cgroup-XXXXXX";
};

TEST_F(FakeCgroupTest, SaysThatTheKernelDoesNotAddUp) {
    write("/memory.stat", "anon 4096\npgfault 7\n");
    EXPECT_EQ(fold_memory_stat(folder_).error().number, ETIMEDOUT);
    write("/memory.stat", "anon 4096\n            ");
    EXPECT_EQ(fold_memory_stat(folder_).error().number, EPROTO);
}

TEST_F(FakeCgroupTest, SumsUpWhatItsProcessesHave) {
    write("/cgroup.procs", "");
    EXPECT_THAT(*anonymous_of(folder_), ElementsAre(Pair("Pss_Anon", 0), Pair("AnonHugePages", 0)));
    // This one, one without memory (kthreadd or nobody), and one that is not there.
    write("/cgroup.procs", std::to_string(::getpid()) + "\n2\n2147483647\n");
    const auto sums = anonymous_of(folder_);
    ASSERT_TRUE(sums.ok()) << sums.error().to_string();
    EXPECT_GT(sums->front().second, 0U);
}

} // namespace
} // namespace faultline
