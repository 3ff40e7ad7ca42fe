// SPDX-License-Identifier: GPL-2.0
// One object that a process and the children that it forks from then on all see.
//
//     Result<SharedMemory<Flags>> flags = SharedMemory<Flags>::make();
//     (*flags)->over = true; // Flags is a struct of atomics
#ifndef FAULTLINE_KERNEL_SHARED_MEMORY_HPP
#define FAULTLINE_KERNEL_SHARED_MEMORY_HPP

#include "kernel/result.hpp"

#include <new>
#include <sys/mman.h>
#include <type_traits>
#include <utility>

namespace faultline {

template <typename T> class SharedMemory {
    // Nobody could say in which process it should be destroyed.
    static_assert(std::is_trivially_destructible_v<T>);

  public:
    SharedMemory() = default; // nothing
    static Result<SharedMemory> make() {
        void* memory =
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return Error::last("mmap (shared memory)");
        SharedMemory made;
        made.object_ = new (memory) T;
        return made;
    }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    SharedMemory(SharedMemory&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    SharedMemory& operator=(SharedMemory&& other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~SharedMemory() {
        if (object_ != nullptr)
            ::munmap(object_, sizeof(T));
    }

    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }

  private:
    T* object_ = nullptr;
};

} // namespace faultline

#endif // FAULTLINE_KERNEL_SHARED_MEMORY_HPP
