// SPDX-License-Identifier: GPL-2.0
#include "kernel/ksm.hpp"

#include "kernel/fd.hpp"

#include <array>
#include <unistd.h>
#include <utility>

namespace faultline {

namespace {

const std::string base = "/sys/kernel/mm/ksm/";

} // namespace

Result<Ksm> Ksm::asleep() {
    static constexpr std::array wanted = {std::pair("run", "0"), std::pair("sleep_millisecs", "1"),
                                          std::pair("pages_to_scan", "65536")};
    Ksm made;
    for (const auto& [name, value] : wanted) {
        Result<Setting> setting = Setting::set(base + name, value);
        if (!setting)
            return setting.error();
        made.settings_.push_back(std::move(*setting));
    }
    return made;
}

Result<void> Ksm::run(bool yes) { return write_text(base + "run", yes ? "1" : "0"); }

std::optional<std::string> missing_ksm() {
    if (::access((base + "run").c_str(), W_OK) == 0)
        return std::nullopt;
    return Error::last("write", base + "run").to_string();
}

} // namespace faultline
