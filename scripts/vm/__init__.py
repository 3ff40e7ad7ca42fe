# SPDX-License-Identifier: GPL-2.0
"""The host side of Faultline: kernels, packages, initramfs, QEMU, results.

    tables    architectures, kernels, host packages, endings: all data
    cache     where downloads live, shared by clones
    packages  host packages; a private apt state for kernels
    kernels   a stock kernel, its headers and its modules, unpacked
    source_tree  a kernel built from a source tree
    build     module, driver and selftests for one kernel
    initramfs one archive from files and kernel modules
    qemu      boot, watch, end
    console   judges the kernel's log
    results   reads the data of the side channel
    outcome   judges what the machines of a run left in their folders
    rows      the rows of a report
    runs      one run, from kernel to run folder
    matrix    many of them; reports, page and folder write what they found
    __main__  the commands that the Makefile calls
"""
