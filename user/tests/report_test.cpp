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
    report.counts = {.runs = 100, .overlaps = 98, .excluded = 1};
    report.histogram["collapse=EBUSY event=yes"].count = 100;
    report.blocked = "b slept in down_read";
    report.seconds = 0.5;
    return report;
}

VariantReport failing() {
    VariantReport report = passing();
    report.verdict = Verdict::fail;
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
    report.control_hits = {3};
    return report;
}

Judged judged(Verdict verdict, std::vector<VariantReport> variants, std::string why = {},
              std::string known = {}) {
    Judged all;
    all.report.scenario = "collapse-register";
    all.report.verdict = verdict;
    all.report.variants = std::move(variants);
    all.report.why = std::move(why);
    all.known_bug = std::move(known);
    return all;
}

const System emulated{
    .version = "0.1", .release = "6.12.95", .machine = "s390x", .emulator = "QEMU 7.2"};

TEST(Ktap, APassWithItsControl) {
    Judged all = judged(Verdict::pass, {passing()});
    all.report.controls = {control(Verdict::fail)};
    EXPECT_EQ(ktap_begin(emulated, 2) + ktap_scenario(1, all),
              "KTAP version 1\n"
              "1..2\n"
              "# faultline 0.1 on 6.12.95 s390x, QEMU 7.2\n"
              "  KTAP version 1\n"
              "  1..2\n"
              "  # collapse-register/inside: 100 runs, 98 overlaps, 1 excluded, 200.0 runs/s\n"
              "  # 100 collapse=EBUSY event=yes\n"
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
    EXPECT_EQ(ktap_scenario(3, judged(Verdict::fail, {failing()}, "inside: bad", "fixed by 1234")),
              "  KTAP version 1\n"
              "  1..1\n"
              "  # collapse-register/inside: 100 runs, 98 overlaps, 0 excluded, 200.0 runs/s\n"
              "  # 2 collapse=0 event=no (forbidden)\n"
              "  # 100 collapse=EBUSY event=yes\n"
              "  # replay: faultline replay 'collapse-register/inside seed=9: a@enter:f -> "
              "b@user:x'\n"
              "  not ok 1 inside # XFAIL fixed by 1234\n"
              "not ok 3 collapse-register # XFAIL fixed by 1234\n");
    EXPECT_THAT(ktap_scenario(1, judged(Verdict::fail, {failing()}, "inside: bad")),
                HasSubstr("\nnot ok 1 collapse-register # inside: bad\n"));
}

TEST(Ktap, EveryOtherStandingHasItsWord) {
    const auto last = [](const Judged& all) {
        const std::string text = ktap_scenario(1, all);
        return text.substr(text.rfind('\n', text.size() - 2) + 1);
    };
    EXPECT_EQ(last(judged(Verdict::pass, {passing()}, "", "fixed by 1")),
              "not ok 1 collapse-register # XPASS passes on a kernel known to have the bug: fixed "
              "by 1\n");
    EXPECT_EQ(last(judged(Verdict::skip, {}, "no CONFIG_X")),
              "ok 1 collapse-register # SKIP no CONFIG_X\n");
    EXPECT_EQ(last(judged(Verdict::miss, {}, "closed")),
              "not ok 1 collapse-register # MISS closed\n");
    EXPECT_EQ(last(judged(Verdict::error, {}, "two\nlines")),
              "not ok 1 collapse-register # ERROR two lines\n");
}

TEST(Ktap, AnUncaughtControlIsNotOk) {
    Judged all = judged(Verdict::fail, {passing()}, "control blind not caught");
    all.report.controls = {control(Verdict::pass)};
    all.report.controls[0].why = "it was never applied";
    EXPECT_THAT(ktap_scenario(1, all),
                HasSubstr("\n  not ok 2 control-blind # not caught: it was never applied\n"));
}

TEST(Json, Begin) {
    EXPECT_EQ(json_begin(emulated, 6),
              R"({"kind":"begin","version":"0.1","kernel":"6.12.95","machine":"s390x",)"
              R"("emulator":"QEMU 7.2","plan":6})"
              "\n");
}

TEST(Json, Variant) {
    EXPECT_EQ(
        json_variant(failing(), "fixed by 1234"),
        R"({"kind":"variant","scenario":"collapse-register","variant":"inside","control":null,)"
        R"("verdict":"FAIL","runs":100,"overlaps":98,"excluded":0,"seconds":0.5,"rate":200.0,)"
        R"("histogram":{"collapse=0 event=no":2,"collapse=EBUSY event=yes":100},)"
        R"("forbidden":["collapse=0 event=no"],"why":"a hole was filled without an event",)"
        R"("schedule":"collapse-register/inside: a@enter:f -> b@user:x",)"
        R"("replay":"collapse-register/inside seed=9: a@enter:f -> b@user:x",)"
        R"("known_bug":"fixed by 1234","blocked":null,"measures":[]})"
        "\n");
}

VariantReport measuring() {
    VariantReport report = passing();
    report.measures = {{122.4, "patterns/s"}, {1600, "bytes", "of 16384, in f"}};
    return report;
}

TEST(Json, MeasuresAreNumbers) {
    EXPECT_THAT(json_variant(measuring(), ""),
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
    EXPECT_THAT(ktap_scenario(1, judged(Verdict::pass, {measuring()})),
                HasSubstr("  # measured: 122 patterns/s, 1600 bytes (of 16384, in f)\n"));
    EXPECT_THAT(human_scenario(judged(Verdict::pass, {measuring()})),
                HasSubstr("\n    measured inside: 122 patterns/s, 1600 bytes"));
    EXPECT_THAT(human_variant(measuring()), HasSubstr("\n    measured: 122 patterns/s"));
}

TEST(Json, ControlSaysIfItWasCaught) {
    const std::string caught = json_variant(control(Verdict::fail), "");
    EXPECT_THAT(caught, HasSubstr(R"("control":"blind","verdict":"FAIL")"));
    EXPECT_THAT(caught, HasSubstr(R"("caught":true,"control_hits":[3])"));
    EXPECT_THAT(json_variant(control(Verdict::pass), ""), HasSubstr(R"("caught":false)"));
}

TEST(Json, ScenarioSumsItsVariants) {
    Judged all = judged(Verdict::fail, {passing(), failing()}, "inside: bad", "fixed by 1234");
    EXPECT_EQ(json_scenario(all),
              R"({"kind":"scenario","scenario":"collapse-register","verdict":"FAIL",)"
              R"("expected":true,"known_bug":"fixed by 1234","why":"inside: bad",)"
              R"("runs":200,"overlaps":196,"excluded":1,"seconds":1.0,"rate":200.0,)"
              R"("histogram":{"collapse=0 event=no":2,"collapse=EBUSY event=yes":200},)"
              R"("forbidden":["collapse=0 event=no"],"controls":0,"controls_caught":0})"
              "\n");
}

TEST(Json, BytesThatAreNoTextDoNotEndTheDriver) {
    VariantReport report = passing();
    report.why = "\xff\xfe";
    EXPECT_THAT(json_variant(report, ""), HasSubstr("\xef\xbf\xbd"));
}

TEST(Json, End) {
    const Summary summary{
        .passed = 1, .failed = 2, .skipped = 3, .known = 4, .missed = 5, .errors = 6};
    EXPECT_EQ(json_end(summary),
              R"({"kind":"end","passed":1,"failed":2,"skipped":3,"known":4,"missed":5,"errors":6})"
              "\n");
    EXPECT_EQ(human_summary(summary),
              "4 known, 5 missed, 6 errors\n1 passed, 2 failed, 3 skipped\n");
}

TEST(Human, OneLineAScenario) {
    EXPECT_EQ(human_scenario(judged(Verdict::pass, {passing()})),
              "collapse-register    PASS   100 runs, 98 overlaps (98 %), 1 excluded, 200 runs/s  "
              "{collapse=EBUSY event=yes: 100}\n");
    EXPECT_EQ(human_scenario(judged(Verdict::fail, {failing()}, "inside: bad")),
              "collapse-register    FAIL   100 runs, 98 overlaps (98 %), 200 runs/s  "
              "{!collapse=0 event=no: 2, collapse=EBUSY event=yes: 100}\n"
              "    inside: bad\n"
              "    replay: faultline replay 'collapse-register/inside seed=9: a@enter:f -> "
              "b@user:x'\n");
    EXPECT_EQ(human_scenario(judged(Verdict::skip, {}, "no CONFIG_X")),
              "collapse-register    SKIP   no CONFIG_X\n");
    VariantReport lacking = passing();
    lacking.variant = "protected";
    lacking.verdict = Verdict::skip;
    lacking.why = "write protection: not offered";
    EXPECT_THAT(human_scenario(judged(Verdict::pass, {passing(), lacking})),
                HasSubstr("\n    skipped protected: write protection: not offered\n"));
}

TEST(Summary, CountsKnownBugsApartAndUnexpectedPassesAsFailures) {
    Judged known = judged(Verdict::fail, {}, "", "fixed");
    EXPECT_EQ(known.standing(), Standing::known);
    EXPECT_TRUE(known.expected());
    Judged xpass = judged(Verdict::pass, {}, "", "fixed");
    EXPECT_EQ(xpass.standing(), Standing::unexpected_pass);
    EXPECT_FALSE(xpass.expected());
    Judged part = xpass;
    part.whole = false;
    EXPECT_EQ(part.standing(), Standing::passed) << "one variant may well pass";
    EXPECT_EQ(judged(Verdict::miss, {}, "", "fixed").standing(), Standing::missed);

    Summary summary;
    summary.add(Standing::passed);
    summary.add(Standing::known);
    summary.add(Standing::skipped);
    EXPECT_TRUE(summary.good());
    for (const Standing bad :
         {Standing::failed, Standing::unexpected_pass, Standing::missed, Standing::error}) {
        Summary one = summary;
        one.add(bad);
        EXPECT_FALSE(one.good());
    }
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
