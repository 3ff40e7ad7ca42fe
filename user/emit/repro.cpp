// SPDX-License-Identifier: GPL-2.0
#include "emit/repro.hpp"

#include <fmt/format.h>

namespace faultline {

std::string repro_script(const Finding& finding) {
    // The whole file, which may say of other variants what only they have.
    ScenarioFile file = *finding.file;
    const FileVariant& variant = *finding.variant;
    for (FileVariant& one : file.variants)
        if (one.name == variant.name)
            one.schedule = {to_string(finding.edges), {}};
    return fmt::format(R"(#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# {0}/{1}: {2}
# {3}
#
# FAULTLINE=path of a checkout of Faultline. It fetches the kernel KERNEL= (6.12) for ARCH= (x86_64), or
# takes one of yours (KSRC=, a tree that it builds; or KIMAGE= and KDIR=, its build folder), boots it in
# QEMU and runs this RUNS= times (50). The exit status is that of scripts/faultline-vm: 0 the verdict is the expected one, which can
# be KNOWN; 1 it is not.
set -eu
: "${{FAULTLINE:?is not set: the path of a checkout of Faultline}}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/{0}.flt" << 'END_OF_SCENARIO'
{4}END_OF_SCENARIO
set -- --kernel "${{KERNEL:-6.12}}" --arch "${{ARCH:-x86_64}}" --runs "${{RUNS:-50}}"
[ -z "${{KSRC:-}}" ] || set -- "$@" --ksrc "$KSRC"
[ -z "${{KIMAGE:-}}" ] || set -- "$@" --kimage "$KIMAGE" --kdir "${{KDIR:?KIMAGE= needs KDIR=}}"
"$FAULTLINE/scripts/faultline-vm" run "$@" --run "$folder/{0}.flt/{1}"
)",
                       file.name.text, variant.name.text, file.claim.text, to_string(finding.edges),
                       print(file));
}

} // namespace faultline
