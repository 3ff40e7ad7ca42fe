// SPDX-License-Identifier: GPL-2.0
// libFuzzer over the reader of scenario files. `make check` runs it for some seconds; for longer:
//     build/user/fuzz_reader -max_total_time=600 build/corpus scenarios docs
#include "../tests/reader_property.hpp"

#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t count) {
    const std::string wrong =
        faultline::wrong_with_reader(std::string(reinterpret_cast<const char*>(bytes), count));
    if (wrong.empty())
        return 0;
    std::fputs(wrong.c_str(), stderr);
    std::abort();
}
