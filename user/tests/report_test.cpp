// SPDX-License-Identifier: GPL-2.0
// The exact text of KTAP and JSON: host scripts and other people's tools read it.
#include "report/html.hpp"
#include "report/human.hpp"
#include "report/json.hpp"
#include "report/ktap.hpp"
#include "report/timeline.hpp"

#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>

namespace faultline {
namespace {

using testing::AllOf;
using testing::HasSubstr;

VariantReport passing() {
    VariantReport report;
    report.scenario = "collapse-register";
    report.variant = "inside";
    report.schedule = "collapse-register/inside: a@enter:f -> b@user:x";
    report.verdict = Verdict::pass;
    report.standing = Standing::passed;
    report.counts = {.runs = 100, .overlaps = 98, .excluded = 1};
    report.histogram["collapse=EBUSY event=yes"].count = 100;
    report.blocked = "b slept in down_read";
    report.seconds = 0.5;
    return report;
}

VariantReport failing() {
    VariantReport report = passing();
    report.verdict = Verdict::fail;
    report.standing = Standing::failed;
    report.why = "a hole was filled without an event";
    report.counts.forbidden = 2;
    report.blocked.clear();
    report.counts.excluded = 0;
    Tally& bad = report.histogram["collapse=0 event=no"];
    bad.count = 2;
    bad.allowed = false;
    bad.example.run = 7;
    bad.example.schedule = "collapse-register/inside seed=9: a@enter:f -> b@user:x";
    return report;
}

VariantReport control(Verdict verdict) {
    VariantReport report = verdict == Verdict::fail ? failing() : passing();
    report.control = "blind";
    report.verdict = verdict;
    report.produces = "event=no";
    report.control_hits = {3};
    return report;
}

VariantReport known() {
    VariantReport report = failing();
    report.standing = Standing::known;
    report.known_bug = "fixed by 1234";
    return report;
}

ScenarioReport of(Standing standing, std::vector<VariantReport> variants, std::string why = {}) {
    ScenarioReport all;
    all.scenario = "collapse-register";
    all.standing = standing;
    all.verdict = standing == Standing::passed    ? Verdict::pass
                  : standing == Standing::skipped ? Verdict::skip
                  : standing == Standing::missed  ? Verdict::miss
                  : standing == Standing::error   ? Verdict::error
                                                  : Verdict::fail;
    all.variants = std::move(variants);
    all.why = std::move(why);
    return all;
}

VariantReport lacking() {
    VariantReport report = passing();
    report.variant = "protected";
    report.verdict = Verdict::skip;
    report.standing = Standing::skipped;
    report.why = "write protection: not offered";
    return report;
}

const System emulated{
    .version = "0.1", .release = "6.12.95", .machine = "s390x", .emulator = "QEMU 7.2"};

TEST(Ktap, APassWithItsControl) {
    ScenarioReport all = of(Standing::passed, {passing()});
    all.controls = {control(Verdict::fail)};
    EXPECT_EQ(ktap_begin(emulated, 2) + ktap_scenario(1, all),
              "KTAP version 1\n"
              "1..2\n"
              "# faultline 0.1 on 6.12.95 s390x, QEMU 7.2\n"
              "  KTAP version 1\n"
              "  # Subtest: collapse-register\n"
              "  1..2\n"
              "  # collapse-register/inside: 100 runs, 98 overlaps, 1 excluded, 200.0 runs/s\n"
              "  # 100 collapse=EBUSY event=yes\n"
              "  # not seen: 0 in 98: < 3.0 %\n"
              "  # excluded: b slept in down_read\n"
              "  ok 1 inside\n"
              "  # collapse-register/inside: 100 runs, 98 overlaps, 0 excluded, 200.0 runs/s\n"
              "  # 2 collapse=0 event=no (forbidden)\n"
              "  # 100 collapse=EBUSY event=yes\n"
              "  # replay: faultline replay 'collapse-register/inside seed=9: a@enter:f -> "
              "b@user:x' --control blind\n"
              "  ok 2 control-blind\n"
              "ok 1 collapse-register\n");
}

TEST(Ktap, AFailureKnownAndUnknown) {
    EXPECT_EQ(ktap_scenario(3, of(Standing::known, {known()}, "inside: bad")),
              "  KTAP version 1\n"
              "  # Subtest: collapse-register\n"
              "  1..1\n"
              "  # collapse-register/inside: 100 runs, 98 overlaps, 0 excluded, 200.0 runs/s\n"
              "  # 2 collapse=0 event=no (forbidden)\n"
              "  # 100 collapse=EBUSY event=yes\n"
              "  # replay: faultline replay 'collapse-register/inside seed=9: a@enter:f -> "
              "b@user:x'\n"
              "  ok 1 inside # XFAIL fixed by 1234\n"
              "ok 3 collapse-register # XFAIL fixed by 1234\n");
    EXPECT_THAT(ktap_scenario(3, of(Standing::known, {known()}, "inside: bad"), KnownAs::ok),
                HasSubstr("\n  # inside: known bug: fixed by 1234\n  ok 1 inside\n"
                          "# collapse-register: known bug: fixed by 1234\n"
                          "ok 3 collapse-register\n"));
    EXPECT_THAT(ktap_scenario(1, of(Standing::failed, {failing()}, "inside: bad")),
                HasSubstr("\nnot ok 1 collapse-register # inside: bad\n"));
}

TEST(Ktap, EveryOtherStandingHasItsWord) {
    const auto last = [](const ScenarioReport& all) {
        const std::string text = ktap_scenario(1, all);
        return text.substr(text.rfind('\n', text.size() - 2) + 1);
    };
    EXPECT_EQ(last(of(Standing::unexpected_pass, {known()})),
              "not ok 1 collapse-register # XPASS passes on a kernel known to have the bug: fixed "
              "by 1234\n");
    EXPECT_EQ(last(of(Standing::skipped, {}, "no CONFIG_X")),
              "ok 1 collapse-register # SKIP no CONFIG_X\n");
    EXPECT_EQ(last(of(Standing::missed, {}, "closed")),
              "not ok 1 collapse-register # MISS closed\n");
    EXPECT_EQ(last(of(Standing::error, {}, "two\nlines")),
              "not ok 1 collapse-register # ERROR two lines\n");
}

TEST(Ktap, AnUncaughtControlIsNotOk) {
    ScenarioReport all = of(Standing::failed, {passing()}, "control blind not caught");
    all.controls = {control(Verdict::pass)};
    all.controls[0].why = "event=no was not seen";
    EXPECT_THAT(ktap_scenario(1, all),
                HasSubstr("\n  not ok 2 control-blind # not caught: event=no was not seen\n"));
}

TEST(Ktap, SkippedVariantsAreCounted) {
    const std::string text = ktap_scenario(1, of(Standing::passed, {passing(), lacking()}));
    EXPECT_THAT(text, HasSubstr("\n  ok 2 protected # SKIP write protection: not offered\n"));
    EXPECT_THAT(text, HasSubstr("\n# collapse-register: 1 of 2 variants skipped\nok 1 "));
}

TEST(Ktap, AScenarioWithoutVariantsHasNoSubtest) {
    EXPECT_EQ(ktap_scenario(1, of(Standing::skipped, {}, "by name only")),
              "ok 1 collapse-register # SKIP by name only\n");
}

TEST(Ktap, EndsWithTotalsOfKselftest) {
    Summary summary;
    summary.add(of(Standing::passed, {passing()}));
    summary.add(of(Standing::known, {known()}));
    summary.add(of(Standing::missed, {}));
    summary.add(of(Standing::skipped, {}));
    EXPECT_EQ(ktap_end(summary), "# Totals: pass:1 fail:1 xfail:1 xpass:0 skip:1 error:0\n");
}

TEST(Json, Begin) {
    EXPECT_EQ(json_begin(emulated, {"a", "b/c", "d+e"}),
              R"({"kind":"begin","schema":1,"version":"0.1","kernel":"6.12.95","machine":"s390x",)"
              R"("emulator":"QEMU 7.2","plan":3,"names":["a","b/c","d+e"]})"
              "\n");
}

TEST(Json, Variant) {
    EXPECT_EQ(
        json_variant(known()),
        R"({"kind":"variant","scenario":"collapse-register","variant":"inside","control":null,)"
        R"("verdict":"FAIL","standing":"known","runs":100,"overlaps":98,"excluded":0,"waited":0,)"
        R"("seconds":0.5,"rate":200.0,"power":{"overlaps":98,"bound":0.030106},"chance":false,)"
        R"("histogram":{"collapse=0 event=no":2,"collapse=EBUSY event=yes":100},)"
        R"("forbidden":["collapse=0 event=no"],"why":"a hole was filled without an event",)"
        R"("schedule":"collapse-register/inside: a@enter:f -> b@user:x",)"
        R"("replay":"collapse-register/inside seed=9: a@enter:f -> b@user:x",)"
        R"("actors":[],"edges":[],"examples":[{"outcome":"collapse=0 event=no","run":7,)"
        R"("replay":"collapse-register/inside seed=9: a@enter:f -> b@user:x","why":null,)"
        R"("sites":[],"sleeper":null,"stack":null}],)"
        R"("known_bug":"fixed by 1234","blocked":null,"waits":{},"not_compared":{},"measures":[]})"
        "\n");
}

VariantReport measuring() {
    VariantReport report = passing();
    report.measures = {{122.4, "patterns/s"}, {1600, "bytes", "of 16384, in f"}};
    return report;
}

TEST(Json, MeasuresAreNumbers) {
    EXPECT_THAT(json_variant(measuring()),
                HasSubstr(R"("measures":[{"value":122.4,"what":"patterns/s","note":null},)"
                          R"({"value":1600.0,"what":"bytes","note":"of 16384, in f"}])"));
}

TEST(Progress, SaysHowFarAndHowFast) {
    EXPECT_EQ(human_progress({"mthp-orders", "patterns", 12, 333, 6, {{768, "patterns"}}}),
              "mthp-orders/patterns  12/333 runs, 2 runs/s, 768 patterns");
    EXPECT_EQ(human_progress({"a", "b", 0, 9, 0, {}}), "a/b  0/9 runs, 0 runs/s");
}

TEST(Measures, AreReadAsASentence) {
    EXPECT_EQ(to_string(std::vector<Measure>{}), "");
    EXPECT_EQ(to_string({{2.54, "patterns/s"}, {3, "folios"}}), "2.5 patterns/s, 3 folios");
    EXPECT_THAT(ktap_scenario(1, of(Standing::passed, {measuring()})),
                HasSubstr("  # measured: 122 patterns/s, 1600 bytes (of 16384, in f)\n"));
    EXPECT_THAT(human_scenario(of(Standing::passed, {measuring()})),
                HasSubstr("\n    measured inside: 122 patterns/s, 1600 bytes"));
    EXPECT_THAT(human_variant(measuring()), HasSubstr("\n    measured: 122 patterns/s"));
}

TEST(Json, ControlSaysIfItWasCaught) {
    const std::string caught = json_variant(control(Verdict::fail));
    EXPECT_THAT(caught, HasSubstr(R"("control":"blind","verdict":"FAIL")"));
    EXPECT_THAT(
        caught,
        HasSubstr(R"("produces":"event=no","caught":true,"caught_by":null,"control_hits":[3])"));
    VariantReport kernel = control(Verdict::fail);
    kernel.histogram = {};
    kernel.caught_by = "VM_BUG_ON(x)";
    EXPECT_THAT(json_variant(kernel), HasSubstr(R"-("caught":true,"caught_by":"VM_BUG_ON(x)")-"));
    EXPECT_THAT(json_variant(control(Verdict::pass)), HasSubstr(R"("caught":false)"));
}

TEST(Json, ScenarioSumsItsVariants) {
    ScenarioReport all = of(Standing::known, {passing(), known(), lacking()}, "inside: bad");
    all.controls = {control(Verdict::fail), control(Verdict::pass)};
    EXPECT_EQ(
        json_scenario(all),
        R"({"kind":"scenario","scenario":"collapse-register","verdict":"FAIL",)"
        R"("standing":"known","known_bug":"fixed by 1234","why":"inside: bad",)"
        R"("runs":300,"overlaps":294,"excluded":2,"waited":0,"seconds":1.5,"rate":200.0,)"
        R"("power":{"overlaps":294,"bound":0.030106},)"
        R"("histogram":{"collapse=0 event=no":2,"collapse=EBUSY event=yes":300},)"
        R"("forbidden":["collapse=0 event=no"],"no_hazard_control":null,)"
        R"("variants":{"passed":1,"failed":0,"skipped":1,"known":1,"missed":0,"errors":0,"uncontrolled":0},)"
        R"("controls":{"caught":1,"not_caught":1,"skipped":0,"errors":0}})"
        "\n");
}

TEST(Json, MarksNameTheRunThatIsUnderWay) {
    EXPECT_EQ(json_start({"s", "v", "", "s/v: a -> b", 7}),
              R"({"kind":"start","scenario":"s","variant":"v","control":null,"caught_by":null,)"
              R"("schedule":"s/v: a -> b","runs":7})"
              "\n");
    EXPECT_THAT(json_start({"s", "v", "c", "", 7, "VM_BUG_ON\\(x\\)"}),
                HasSubstr(R"-("control":"c","caught_by":"VM_BUG_ON\\(x\\)")-"));
    EXPECT_EQ(json_run(17, 1234), "{\"kind\":\"run\",\"run\":17,\"seed\":1234}\n");
}

TEST(Json, BytesThatAreNoTextDoNotEndTheDriver) {
    VariantReport report = passing();
    report.why = "\xff\xfe";
    EXPECT_THAT(json_variant(report), HasSubstr("\xef\xbf\xbd"));
}

TEST(Json, End) {
    Summary summary;
    summary.add(of(Standing::passed, {passing(), lacking()}));
    ScenarioReport known_one = of(Standing::known, {known()});
    known_one.controls = {control(Verdict::fail)};
    summary.add(known_one);
    EXPECT_TRUE(summary.good());
    EXPECT_EQ(
        json_end(summary),
        R"({"kind":"end","passed":2,"failed":0,"skipped":1,"known":1,"missed":0,"errors":0,"uncontrolled":0,)"
        R"("scenarios":{"passed":1,"failed":0,"skipped":0,"known":1,"missed":0,"errors":0,"uncontrolled":0},)"
        R"("variants":{"passed":1,"failed":0,"skipped":1,"known":1,"missed":0,"errors":0,"uncontrolled":0},)"
        R"("controls":{"caught":1,"not_caught":0,"skipped":0,"errors":0}})"
        "\n");
    EXPECT_EQ(human_summary(summary),
              "2 scenarios: 1 passed, 0 failed, 0 skipped, 1 known, 0 missed, 0 errors\n"
              "3 variants: 1 passed, 0 failed, 1 skipped, 1 known, 0 missed, 0 errors\n"
              "controls: 1 caught, 0 not caught, 0 skipped, 0 errors\n"
              "1 known, 0 missed, 0 errors\n2 passed, 0 failed, 1 skipped\n");
}

TEST(Human, OneLineAScenarioThenItsHistogram) {
    EXPECT_EQ(human_scenario(of(Standing::passed, {passing()})),
              "collapse-register    PASS   100 runs, 98 overlaps (98 %), not seen: < 3.0 %, "
              "1 excluded, 200 runs/s\n"
              "    {collapse=EBUSY event=yes: 100}\n");
    EXPECT_EQ(human_scenario(of(Standing::failed, {failing()}, "inside: bad")),
              "collapse-register    FAIL   100 runs, 98 overlaps (98 %), 200 runs/s\n"
              "    {!collapse=0 event=no: 2, collapse=EBUSY event=yes: 100}\n"
              "    inside: bad\n"
              "    replay: faultline replay 'collapse-register/inside seed=9: a@enter:f -> "
              "b@user:x'\n");
    EXPECT_EQ(human_scenario(of(Standing::skipped, {}, "no CONFIG_X")),
              "collapse-register    SKIP   no CONFIG_X\n");
    const std::string text = human_scenario(of(Standing::passed, {passing(), lacking()}));
    EXPECT_THAT(text, HasSubstr("\n    skipped protected: write protection: not offered\n"));
    EXPECT_THAT(text, HasSubstr("1 of 2 variants skipped\n    {"));
    EXPECT_THAT(human_scenario(of(Standing::known, {known()})),
                HasSubstr("\n    known bug, inside: fixed by 1234\n"));
}

void expect_narrow(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.find("faultline replay") == std::string::npos) {
            EXPECT_LE(line.size(), 100U) << line;
        }
}

TEST(Human, NoLineIsWiderThanATerminal) {
    std::string words;
    for (int i = 0; i < 30; ++i)
        words += (words.empty() ? "" : " ") + fmt::format("word{}=value", i);
    VariantReport report = failing();
    report.counts = {.runs = 123456, .overlaps = 54321, .excluded = 12345, .waited = 7890};
    report.histogram[words].count = 99;
    report.why = words + "\n" + words;
    report.blocked = words;
    report.waits["I/O"] = {3, words};
    ScenarioReport all = of(Standing::failed, {report, lacking()}, words);
    all.scenario = "hugetlb-mremap-shareable-with-a-long-name";
    all.no_hazard_control = words;
    expect_narrow(human_scenario(all));
    expect_narrow(human_variant(report));
    expect_narrow(human_scenario(of(Standing::skipped, {}, words)));
    // Nothing is lost.
    const std::string text = human_scenario(all);
    for (int i = 0; i < 30; ++i)
        EXPECT_THAT(text, HasSubstr(fmt::format("word{}=value", i)));
}

TEST(Human, AVerdictIsColouredWithoutMovingTheRest) {
    const std::string plain = human_scenario(of(Standing::passed, {passing()}));
    std::string coloured = human_scenario(of(Standing::passed, {passing()}), Colour::terminal);
    EXPECT_THAT(coloured, HasSubstr("\033[32mPASS \033[0m"));
    for (const std::string code : {"\033[32m", "\033[0m"})
        coloured.erase(coloured.find(code), code.size());
    EXPECT_EQ(coloured, plain);
    EXPECT_THAT(human_scenario(of(Standing::known, {known()}), Colour::terminal),
                HasSubstr("\033[33mKNOWN\033[0m"));
    EXPECT_THAT(human_variant(failing(), Colour::terminal), HasSubstr("\033[1;31mFAIL\033[0m"));
    EXPECT_EQ(human_variant(failing()).find('\033'), std::string::npos);
}

TEST(Human, SleepsThatExcludeNothingAreShown) {
    VariantReport report = passing();
    report.waits["grace period"] = {3, "b slept in synchronize_rcu"};
    EXPECT_THAT(
        human_variant(report),
        HasSubstr(
            "a wait that excludes nothing (grace period), 3 times: b slept in synchronize_rcu\n"));
    EXPECT_THAT(human_scenario(of(Standing::passed, {report})),
                HasSubstr("(grace period), 3 times: b"));
    EXPECT_THAT(ktap_scenario(1, of(Standing::passed, {report})),
                HasSubstr("(grace period), 3 times: b"));
    EXPECT_THAT(json_variant(report),
                HasSubstr(R"("waits":{"grace period":{"count":3,"stack":"b slept in)"));
}

TEST(Human, CountersThatWereNotComparedAreShown) {
    VariantReport report = passing();
    report.not_compared = {{"machine meminfo Shmem", {3, "cron, systemd"}},
                           {"machine vmstat nr_shmem", {3, "cron, systemd"}},
                           {"machine meminfo Mlocked", {1, "cron"}}};
    const std::string text = fmt::format(
        "not compared in 3 of {} runs, as other programs ran (cron, systemd)", report.counts.runs);
    EXPECT_THAT(human_variant(report), HasSubstr(text));
    EXPECT_THAT(human_scenario(of(Standing::passed, {report})), HasSubstr(text));
    EXPECT_THAT(ktap_scenario(1, of(Standing::passed, {report})),
                AllOf(HasSubstr(text + ": machine meminfo Shmem, machine vmstat nr_shmem\n"),
                      HasSubstr("as other programs ran (cron): machine meminfo Mlocked\n")));
    EXPECT_THAT(json_variant(report),
                HasSubstr(R"("machine meminfo Mlocked":{"count":1,"others":"cron"})"));
}

TEST(Summary, AnythingThatIsNotAsItShouldBeIsBad) {
    Summary good;
    good.add(of(Standing::passed, {passing()}));
    EXPECT_TRUE(good.good());
    for (const Standing bad :
         {Standing::failed, Standing::unexpected_pass, Standing::missed, Standing::error}) {
        Summary one = good;
        one.add(of(bad, {}));
        EXPECT_FALSE(one.good());
    }
    Summary uncaught = good;
    ScenarioReport report = of(Standing::passed, {passing()});
    report.controls = {control(Verdict::pass)};
    uncaught.add(report);
    EXPECT_FALSE(uncaught.good());
}

TEST(Timeline, IsInTheOrderOfTime) {
    Example example;
    example.result.sites[0] = {.hits = 1,
                               .end = FL_END_WAITED,
                               .context = FL_CONTEXT_SLEEP,
                               .cpu = 1,
                               .reached_ns = 2000,
                               .left_ns = 12500,
                               .value = 0};
    example.result.sites[1] = {.hits = 1,
                               .end = FL_END_PASSED,
                               .context = FL_CONTEXT_AUTO,
                               .cpu = 0,
                               .reached_ns = 1000,
                               .left_ns = 1000,
                               .value = 0};
    example.result.sites[2].end = FL_END_NOT_REACHED;
    EXPECT_EQ(timeline_text(example, {"a@enter:f", "b@user:x", "b@user:y"}, ""),
              "      0.0 us  cpu0  b@user:x  passed\n"
              "      1.0 us  cpu1  a@enter:f  held 10.5 us, released\n"
              "           -        b@user:y  never reached\n");
}

// With an example of an excluded run: b sleeps, so that a is not awaited any longer.
VariantReport drawn(VariantReport report) {
    report.actors = {"a", "b"};
    report.sites = {"a@enter:f", "b@user:x", "b@enter:g"};
    report.edges = {{{"b", FL_SITE_USER, "x", 1}, {"a", FL_SITE_ENTER, "f", 1}}};
    for (auto& [words, tally] : report.histogram) {
        tally.example.run = 1;
        tally.example.schedule = "collapse-register/inside seed=9: a@enter:f -> b@user:x";
        fl_result& result = tally.example.result;
        result.sites[0] = {.hits = 1,
                           .end = FL_END_EXCLUDED,
                           .context = FL_CONTEXT_SLEEP,
                           .cpu = 1,
                           .reached_ns = 1000,
                           .left_ns = 4000,
                           .value = 0};
        result.sites[1].end = FL_END_PASSED;
        result.sites[1].reached_ns = 2500;
        result.sites[2].end = FL_END_NOT_REACHED;
        result.blocked_actor = 1;
        std::strcpy(result.blocked, "down_write < unmap_mapping_pages");
    }
    return report;
}

TEST(Json, AnExampleSaysWhoWasHeldAndWhoSlept) {
    const std::string line = json_variant(drawn(passing()));
    EXPECT_THAT(line, HasSubstr(R"("edges":[["b@user:x","a@enter:f"]])"));
    EXPECT_THAT(line, HasSubstr(R"({"site":"a@enter:f","end":"excluded","held":"sleep","cpu":1,)"
                                R"("reached_us":0.0,"left_us":3.0})"));
    EXPECT_THAT(line, HasSubstr(R"({"site":"b@enter:g","end":"not reached","held":"none","cpu":0,)"
                                R"("reached_us":null,"left_us":null})"));
    EXPECT_THAT(line, HasSubstr(R"("sleeper":"b","stack":"down_write < unmap_mapping_pages")"));
}

TEST(Json, FewExamplesOfManyOutcomesForbiddenFirst) {
    VariantReport report = drawn(failing());
    const Tally some = report.histogram["collapse=EBUSY event=yes"];
    for (int i = 0; i < 20; ++i)
        report.histogram[fmt::format("a={}", i)] = some;
    const std::string line = json_variant(report);
    EXPECT_THAT(line, HasSubstr(R"("examples":[{"outcome":"collapse=0 event=no")"));
    std::size_t count = 0;
    for (std::size_t at = line.find("\"outcome\""); at != std::string::npos;
         at = line.find("\"outcome\"", at + 1))
        ++count;
    EXPECT_EQ(count, 8U);
}

TEST(Html, ARecordCannotEndItsScript) {
    VariantReport report = failing();
    report.why = "</script><b>";
    const std::string record = html_record(json_variant(report));
    EXPECT_EQ(record.find('<'), std::string::npos);
    EXPECT_THAT(record, HasSubstr(R"("why":"\u003c/script>\u003cb>")"));
    EXPECT_THAT(html_begin(), testing::StartsWith("<!DOCTYPE html>"));
    EXPECT_THAT(html_begin(), testing::EndsWith("id=\"records\">\n"));
    EXPECT_THAT(html_end(), testing::StartsWith("</script>"));
}

// One run with everything in it, for scripts/tests/test_output.py: other people's parsers read it.
// FAULTLINE_SAMPLES is its folder.
TEST(Samples, AreWritten) {
    const char* given = ::getenv("FAULTLINE_SAMPLES");
    const std::string folder = given != nullptr ? given : testing::TempDir();
    std::vector<ScenarioReport> all;
    all.push_back(of(Standing::passed, {drawn(passing()), lacking()}));
    all[0].controls = {drawn(control(Verdict::fail)), control(Verdict::skip)};
    all.push_back(of(Standing::known, {drawn(known())}, "inside: </script><b>bad</b>"));
    all[1].scenario = "known-one";
    all.push_back(of(Standing::skipped, {}, "no CONFIG_X"));
    all[2].scenario = "skipped-one";
    Summary summary;
    const auto write = [&](const std::string& name, const std::string& text) {
        std::ofstream out(folder + "/" + name);
        out << text;
        out.close();
        EXPECT_TRUE(out) << folder << "/" << name;
    };
    const auto written = [&](const std::string& name) {
        std::vector<std::string> names;
        for (const ScenarioReport& report : all)
            names.push_back(report.scenario);
        std::string json = json_begin(emulated, names);
        std::string xfail = ktap_begin(emulated, static_cast<unsigned>(all.size()));
        std::string ok = xfail;
        summary = {};
        for (unsigned i = 0; i < all.size(); ++i) {
            for (const auto* reports : {&all[i].variants, &all[i].controls})
                for (VariantReport report : *reports) {
                    report.scenario = all[i].scenario;
                    json += json_variant(report);
                }
            json += json_scenario(all[i]);
            xfail += ktap_scenario(i + 1, all[i]);
            ok += ktap_scenario(i + 1, all[i], KnownAs::ok);
            summary.add(all[i]);
        }
        json += json_end(summary);
        write(name + ".json", json);
        write(name + ".xfail.ktap", xfail + ktap_end(summary));
        write(name + ".ok.ktap", ok + ktap_end(summary));
        write(name + ".html", html_begin() + html_record(json) + html_end());
    };
    written("good");
    EXPECT_TRUE(summary.good());
    all.push_back(of(Standing::failed, {drawn(failing())}, "inside: a hole was filled"));
    all[3].scenario = "failed-one";
    all.push_back(of(Standing::missed, {}, "the window never opened"));
    all[4].scenario = "missed-one";
    all.push_back(of(Standing::error, {}, "two\nlines"));
    all[5].scenario = "erred-one";
    written("bad");
    EXPECT_FALSE(summary.good());
    write("marks.json", json_start({"s", "v", "", "s/v: a -> b", 7}) + json_run(17, 1234));
}

} // namespace
} // namespace faultline
