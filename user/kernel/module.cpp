// SPDX-License-Identifier: GPL-2.0
#include "kernel/module.hpp"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <libkmod.h>
#include <memory>
#include <thread>
#include <unistd.h>
#include <utility>

namespace faultline {

namespace {

constexpr const char* module_name = "faultline";
constexpr std::chrono::seconds unload_bound{10};

using Context = std::unique_ptr<kmod_ctx, decltype(&kmod_unref)>;
using Handle = std::unique_ptr<kmod_module, decltype(&kmod_module_unref)>;

Result<Context> open_context() {
    Context context(kmod_new(nullptr, nullptr), kmod_unref);
    if (!context)
        return Error::make(ENOMEM, "libkmod");
    // libkmod prints its own lines otherwise; ours name the file and the reason.
    kmod_set_log_priority(context.get(), 0);
    return context;
}

std::string beside_executable() {
    std::error_code ignored;
    const std::filesystem::path here =
        std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
    for (const std::filesystem::path& candidate :
         {here / "faultline.ko", here / "../../kmod/faultline.ko"})
        if (std::filesystem::exists(candidate, ignored))
            return candidate.string();
    return {};
}

std::string reason(int error) {
    switch (error) {
    case ENOEXEC:
        return "built for another kernel";
    case EACCES:
        return "this is no virtual machine: see the kernel log";
    case EPERM:
        return "needs root, or the kernel is locked down";
    case EKEYREJECTED:
        return "unsigned, and this kernel wants signatures";
    case EINVAL:
    case ENOENT:
        return "a symbol is missing or the file is damaged: see the kernel log";
    default:
        return {};
    }
}

Result<void> insert_file(kmod_ctx* context, const std::string& path) {
    kmod_module* raw = nullptr;
    int error = kmod_module_new_from_path(context, path.c_str(), &raw);
    const Handle module(raw, kmod_module_unref);
    if (error == 0)
        error = kmod_module_insert_module(raw, 0, nullptr);
    if (error == 0 || error == -EEXIST)
        return {};
    const std::string why = reason(-error);
    return Error::make(-error, why.empty() ? "load" : "load (" + why + ")", path);
}

Result<void> insert_by_name(kmod_ctx* context) {
    kmod_list* list = nullptr;
    int error = kmod_module_new_from_lookup(context, module_name, &list);
    if (error == 0 && list == nullptr)
        error = -ENOENT;
    if (error == 0) {
        const Handle module(kmod_module_get_module(list), kmod_module_unref);
        error =
            kmod_module_probe_insert_module(module.get(), 0, nullptr, nullptr, nullptr, nullptr);
    }
    kmod_module_unref_list(list);
    if (error == 0 || error == -EEXIST)
        return {};
    if (error == -ENOENT)
        return Error::make(ENOENT, "no faultline.ko beside the driver or in ../../kmod from there, "
                                   "and none installed for this "
                                   "kernel: give --module PATH");
    const std::string why = reason(-error);
    return Error::make(-error, why.empty() ? "load" : "load (" + why + ")", module_name);
}

} // namespace

Module::Module(Module&& other) noexcept : ours_(std::exchange(other.ours_, false)) {}

Module& Module::operator=(Module&& other) noexcept {
    std::swap(ours_, other.ours_);
    return *this;
}

Module::~Module() {
    const Result<void> unloaded = unload();
    if (!unloaded)
        std::fprintf(stderr, "faultline: %s\n", unloaded.error().to_string().c_str());
}

bool Module::loaded() { return ::access("/sys/module/faultline", F_OK) == 0; }

Result<Module> Module::load(const std::string& path) {
    if (loaded())
        return Module(false);
    const Result<Context> context = open_context();
    if (!context)
        return context.error();
    const std::string file = path.empty() ? beside_executable() : path;
    const Result<void> inserted =
        file.empty() ? insert_by_name(context->get()) : insert_file(context->get(), file);
    if (!inserted)
        return inserted.error();
    return Module(true);
}

Result<void> Module::unload() {
    if (!std::exchange(ours_, false))
        return {};
    const Result<Context> context = open_context();
    if (!context)
        return context.error();
    kmod_module* raw = nullptr;
    int error = kmod_module_new_from_name(context->get(), module_name, &raw);
    const Handle module(raw, kmod_module_unref);
    if (error != 0)
        return Error::make(-error, "unload", module_name);
    const auto end = std::chrono::steady_clock::now() + unload_bound;
    for (;;) {
        error = kmod_module_remove_module(raw, KMOD_REMOVE_NOWAIT);
        const bool busy = error == -EAGAIN || error == -EBUSY || error == -EWOULDBLOCK;
        if (error == 0 || !busy || std::chrono::steady_clock::now() >= end)
            break;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    if (error != 0)
        return Error::make(-error, "unload", module_name);
    return {};
}

} // namespace faultline
