// SPDX-License-Identifier: GPL-2.0
// The exact text of KTAP and JSON: host scripts and other people's tools read it.
#include "report/html.hpp"
#include "report/human.hpp"
#include "report/json.hpp"
#include "report/ktap.hpp"
#include "report/timeline.hpp"

#include <gmock/gmock.h>

namespace faultline {
namespace {

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
              "  1..1\n"
              "  # collapse-register/inside: 100 runs, 98 overlaps, 0 excluded, 200.0 runs/s\n"
              "  # 2 collapse=0 event=no (forbidden)\n"
              "  # 100 collapse=EBUSY event=yes\n"
              "  # replay: faultline replay 'collapse-register/inside seed=9: a@enter:f -> "
              "b@user:x'\n"
              "  not ok 1 inside # XFAIL fixed by 1234\n"
              "not ok 3 collapse-register # XFAIL fixed by 1234\n");
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

TEST(Json, Begin) {
    EXPECT_EQ(json_begin(emulated, {"a", "b/c", "d+e"}),
              R"({"kind":"begin","version":"0.1","kernel":"6.12.95","machine":"s390x",)"
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
        R"("known_bug":"fixed by 1234","blocked":null,"waits":{},"measures":[]})"
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

TEST(Human, OneLineAScenario) {
    EXPECT_EQ(human_scenario(of(Standing::passed, {passing()})),
              "collapse-register    PASS   100 runs, 98 overlaps (98 %), 1 excluded, 200 runs/s, "
              "not seen: < 3.0 %  {collapse=EBUSY event=yes: 100}\n");
    EXPECT_EQ(human_scenario(of(Standing::failed, {failing()}, "inside: bad")),
              "collapse-register    FAIL   100 runs, 98 overlaps (98 %), 200 runs/s  "
              "{!collapse=0 event=no: 2, collapse=EBUSY event=yes: 100}\n"
              "    inside: bad\n"
              "    replay: faultline replay 'collapse-register/inside seed=9: a@enter:f -> "
              "b@user:x'\n");
    EXPECT_EQ(human_scenario(of(Standing::skipped, {}, "no CONFIG_X")),
              "collapse-register    SKIP   no CONFIG_X\n");
    const std::string text = human_scenario(of(Standing::passed, {passing(), lacking()}));
    EXPECT_THAT(text, HasSubstr("\n    skipped protected: write protection: not offered\n"));
    EXPECT_THAT(text, HasSubstr(", 1 of 2 variants skipped"));
    EXPECT_THAT(human_scenario(of(Standing::known, {known()})),
                HasSubstr("\n    known bug, inside: fixed by 1234\n"));
}

TEST(Human, SleepsThatExcludeNothingAreShown) {
    VariantReport report = passing();
    report.waits["grace period"] = {3, "b slept in synchronize_rcu"};
    EXPECT_THAT(human_variant(report),
                HasSubstr("3 times no exclusion, but grace period: b slept in synchronize_rcu\n"));
    EXPECT_THAT(human_scenario(of(Standing::passed, {report})), HasSubstr("but grace period"));
    EXPECT_THAT(ktap_scenario(1, of(Standing::passed, {report})), HasSubstr("but grace period"));
    EXPECT_THAT(json_variant(report),
                HasSubstr(R"("waits":{"grace period":{"count":3,"stack":"b slept in)"));
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

TEST(Html, DrawsLanesHoldsAndEdges) {
    VariantReport report = failing();
    report.actors = {"a", "b"};
    report.sites = {"a@enter:f", "b@user:x"};
    report.edges = {{{"b", FL_SITE_USER, "x", 1}, {"a", FL_SITE_ENTER, "f", 1}}};
    report.why = "1 < 2 & \"x\"";
    fl_result& result = report.histogram["collapse=0 event=no"].example.result;
    result.sites[0].end = FL_END_WAITED;
    result.sites[0].reached_ns = 1000;
    result.sites[0].left_ns = 4000;
    result.sites[1].end = FL_END_PASSED;
    result.sites[1].reached_ns = 2500;
    const std::string page = html_variant(report);
    EXPECT_THAT(page, HasSubstr("1 &lt; 2 &amp; &quot;x&quot;"));
    // Events in order: a reached (130), b reached (300), a left (470).
    EXPECT_THAT(page, HasSubstr("<rect class='hold' x='130' y='71' width='340' height='8'/>"));
    EXPECT_THAT(page, HasSubstr("<circle class='site' cx='300' cy='165' r='5'/>"));
    EXPECT_THAT(page, HasSubstr("<line class='edge' x1='300' y1='165' x2='470' y2='75'/>"));
    EXPECT_THAT(page, HasSubstr("0.0 us, released at 3.0"));
}

} // namespace
} // namespace faultline
