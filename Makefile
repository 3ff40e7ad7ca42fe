# SPDX-License-Identifier: GPL-2.0
# The commands of a user. kbuild reads Kbuild instead of this file.

KDIR ?= /lib/modules/$(shell uname -r)/build
KERNEL ?= 6.12
ARCH ?= x86_64
RUN ?=
RUNS ?=
prefix ?= /usr/local
BUILD := $(CURDIR)/build/user
VERSION := $(shell sed -n 's/^Version: //p' META)

# One process does all that has to do with kernels, packages and machines.
VM := $(CURDIR)/scripts/faultline-vm
VM_OPTIONS = --kernel $(KERNEL) --arch $(ARCH) $(if $(RUN),--run '$(RUN)') \
	$(if $(RUNS),--runs $(RUNS)) $(if $(UPDATE),--update) \
	$(if $(BOOT),--boot $(BOOT)) $(if $(QUIET),--quiet $(QUIET)) \
	$(OWN_KERNEL)
# The user's own kernel: built from its source, or as it is.
OWN_KERNEL = $(if $(KSRC),--ksrc '$(KSRC)') $(if $(CONFIG),--config '$(CONFIG)') $(if $(DEBUG),--debug '$(DEBUG)') \
	$(if $(PREEMPT),--preempt $(PREEMPT)) \
	$(if $(KIMAGE),--kimage $(KIMAGE) --kdir $(KDIR)) $(if $(KMODULES),--kmodules $(KMODULES))

# kbuild takes ARCH from its environment: ours is not its.
unexport ARCH
export SHARD_NUMBER SHARD_INDEX

.PHONY: all
all: modules user ## module for the running kernel (or KDIR=) and driver

.PHONY: modules
modules: ## kmod/faultline.ko for KDIR=path; C=1 checks it with sparse
	+$(MAKE) -C $(KDIR) M=$(CURDIR) CONFIG_DEBUG_INFO_BTF_MODULES= modules

.PHONY: user
user: ## the driver, build/user/faultline
	cmake -S user -B $(BUILD) -DCMAKE_BUILD_TYPE=Release
	+cmake --build $(BUILD)

.PHONY: list
list: ## the scenarios by family, with their claims; needs no VM
	@$(MAKE) -s user > /dev/null && $(BUILD)/faultline list

.PHONY: run
run: ## scenarios in a VM: KERNEL= ARCH= (see matrix-list) RUN='names or path/to/FILE.flt' BUDGET=5m or RUNS=N BOOT=poison|cgroup QUIET=seconds; KSRC=tree CONFIG=file DEBUG=vm|lockdep|kasan|kcsan|all PREEMPT=full|rt or KIMAGE= KDIR= [KMODULES=] for your own kernel: docs/your-kernel.md
	@$(VM) run $(VM_OPTIONS) $(if $(BUDGET),--budget $(BUDGET))

.PHONY: replay
replay: export REPLAY_LINE = $(value LINE)
replay: ## run one schedule again, from the line of a run: LINE='scenario/variant seed=N: ...' CONTROL= RUNS= FILE=its.flt KERNEL= ARCH= BOOT=
	@$(VM) replay --kernel $(KERNEL) --arch $(ARCH) --line "$$REPLAY_LINE" $(if $(CONTROL),--control $(CONTROL)) \
		$(if $(FILE),--file $(FILE)) $(if $(RUNS),--runs $(RUNS)) $(if $(BOOT),--boot $(BOOT)) \
		$(OWN_KERNEL)

.PHONY: report
report: ## the path of the page of the last run; opens the page where there is a screen
	@$(VM) report

.PHONY: pair
pair: ## the same scenarios on two kernels, OLD= NEW= (6.12.95, 6.12.117): fixed, still there, regressed; without OLD= and NEW= all pairs with a known difference; RUN= ARCH= BUDGET= RUNS= BOOT= as in run
	@$(VM) pair --old '$(OLD)' --new '$(NEW)' --arch $(ARCH) $(if $(RUN),--run '$(RUN)') $(if $(RUNS),--runs $(RUNS)) \
		$(if $(BUDGET),--budget $(BUDGET)) $(if $(UPDATE),--update) $(if $(BOOT),--boot $(BOOT)) $(if $(QUIET),--quiet $(QUIET))

.PHONY: bisect
bisect: ## the commit that broke a scenario, or fixed it: KSRC=~/linux GOOD= BAD= RUN=; ARCH= CONFIG= DEBUG= PREEMPT= RUNS= BUDGET=
	@$(VM) bisect --ksrc '$(KSRC)' --good '$(GOOD)' --bad '$(BAD)' --run '$(RUN)' --arch $(ARCH) $(if $(RUNS),--runs $(RUNS)) \
		$(if $(BUDGET),--budget $(BUDGET)) $(if $(CONFIG),--config '$(CONFIG)') $(if $(DEBUG),--debug '$(DEBUG)') \
		$(if $(PREEMPT),--preempt $(PREEMPT)) $(if $(QUIET),--quiet $(QUIET))

.PHONY: history
history: ## a git tree for bisect: KSRC=debian:6.12 PATCHES='a.patch b.patch' INTO=folder, a commit each; NEW=tree UNDER='mm/hugetlb mm/filemap': a commit for each file that begins so and differs, APART= for patches of it
	@$(VM) history --ksrc '$(KSRC)' --new '$(NEW)' --under '$(or $(UNDER),mm/)' --apart '$(APART)' --patches '$(PATCHES)' --into '$(INTO)'

.PHONY: explore
explore: ## every order of operations: OPS='collapse truncate' SETUP= BUDGET=5m PATCH=file FORBID='results' OTHER=7.2/arm64; without OPS= all pairs; goes on where it stopped, FRESH=1 begins anew
	@$(VM) explore --kernel $(KERNEL) --arch $(ARCH) $(if $(OPS),--ops '$(OPS)') $(if $(SETUP),--setup $(SETUP)) \
		$(if $(BUDGET),--budget $(BUDGET)) $(if $(PATCH),--patch $(PATCH)) $(if $(FRESH),--fresh) \
		$(if $(OTHER),--other $(OTHER)) $(if $(FORBID),--forbid '$(FORBID)') \
		$(if $(OPTIONS),--options '$(OPTIONS)') $(if $(BOOT),--boot $(BOOT)) $(OWN_KERNEL)

.PHONY: explore-controls
explore-controls: ## the controls' hazards that explore finds without their schedules: RUN= BUDGET=30m; a table
	@$(VM) explore --controls --kernel $(KERNEL) --arch $(ARCH) $(if $(RUN),--ops '$(RUN)') \
		--budget $(or $(BUDGET),30m) $(if $(FRESH),--fresh)

.PHONY: matrix
matrix: ## every machine times every kernel: ARCHS= KERNELS= BOOTS= DEBUGS='none vm' RUN= RUNS= SELFTESTS=; SHARD_NUMBER= SHARD_INDEX=
	@$(VM) matrix --archs '$(ARCHS)' --kernels '$(KERNELS)' --boots '$(BOOTS)' --debugs '$(DEBUGS)' \
		--selftests '$(SELFTESTS)' --runs $(or $(RUNS),100) $(if $(RUN),--run '$(RUN)') \
		$(if $(QUIET),--quiet $(QUIET)) $(if $(UPDATE),--update)

.PHONY: matrix-list
matrix-list: ## the cells, with the reason where there is no kernel
	@$(VM) matrix-list --archs '$(ARCHS)' --kernels '$(KERNELS)' --boots '$(BOOTS)' --debugs '$(DEBUGS)'

.PHONY: controls
controls: ## docs/controls.md: each control and the forbidden outcome it produced, of the newest run
	@$(VM) controls

.PHONY: findings
findings: ## docs/findings/README.md: each finding, and its result in the newest run of each kernel; KERNELS='6.12 7.2' ARCH= RUNS= QUIET= runs them first
	@$(VM) findings --arch $(ARCH) --kernels '$(KERNELS)' $(if $(RUNS),--runs $(RUNS)) \
		$(if $(QUIET),--quiet $(QUIET))

.PHONY: bench
bench: ## runs until each hazard is seen, scheduled against free-running, and the module's cost
	@$(VM) run $(VM_OPTIONS) --command 'faultline bench $(RUN) $(if $(RUNS),--runs $(RUNS))'

.PHONY: check
check: ## host unit tests alone, no VM, no root
	@$(VM) check

.PHONY: check-file
check-file: ## check a scenario file, and which kernel of the cache has its sites: FILE=path/to/FILE.flt, no VM
	@$(VM) check-file $(FILE)

.PHONY: test
test: ## host unit tests, then a short run of everything and all selftests in a VM
	@$(VM) test $(VM_OPTIONS)

.PHONY: torture
torture: ## malformed calls to the module, and loads and unloads under load, in a VM: CALLS=1000000 CYCLES=1000 FUZZ_SEED= KERNEL= ARCH= KSRC= DEBUG= as in run
	@$(VM) torture --kernel $(KERNEL) --arch $(ARCH) $(if $(CALLS),--calls $(CALLS)) $(if $(CYCLES),--cycles $(CYCLES)) \
		$(if $(FUZZ_SEED),--seed $(FUZZ_SEED)) $(if $(BOOT),--boot $(BOOT)) $(if $(QUIET),--quiet $(QUIET)) \
		$(if $(UPDATE),--update) $(OWN_KERNEL)

.PHONY: lint
lint: ## plain words, links of pages, sparse, checkpatch, clang-format, clang-tidy, SPDX lines
	@$(VM) lint

.PHONY: kselftest
kselftest: ## fetch the kselftest headers and lib.mk into the cache; prints KSELFTEST
	@$(VM) kselftest

.PHONY: qemu-s390x
qemu-s390x: ## build QEMU from Debian's source with EDAT-1 offered: huge pages on s390x
	@$(VM) qemu-s390x

.PHONY: install
install: install-user ## driver, manual and completion to DESTDIR/prefix, module to INSTALL_MOD_PATH for KDIR
	+$(MAKE) -C $(KDIR) M=$(CURDIR) CONFIG_DEBUG_INFO_BTF_MODULES= \
		INSTALL_MOD_PATH=$(DESTDIR)$(INSTALL_MOD_PATH) modules_install

.PHONY: install-user
install-user: ## the same without the module
	install -D -m 0755 $(BUILD)/faultline $(DESTDIR)$(prefix)/bin/faultline
	cd scenarios && find . \( -name '*.flt' -o -name '*.toml' \) -exec \
		install -D -m 0644 {} $(DESTDIR)$(prefix)/share/faultline/scenarios/{} \;
	$(BUILD)/faultline man --into $(DESTDIR)$(prefix)/share/man
	install -d $(DESTDIR)$(prefix)/share/bash-completion/completions $(DESTDIR)$(prefix)/share/zsh/vendor-completions
	$(BUILD)/faultline completion bash > $(DESTDIR)$(prefix)/share/bash-completion/completions/faultline
	$(BUILD)/faultline completion zsh > $(DESTDIR)$(prefix)/share/zsh/vendor-completions/_faultline

.PHONY: install-dkms
install-dkms: ## the module's source with its dkms.conf to DESTDIR/usr/src
	install -d $(DESTDIR)/usr/src/faultline-$(VERSION)
	$(VM) dkms-conf > $(DESTDIR)/usr/src/faultline-$(VERSION)/dkms.conf
	install -m 0644 $(filter-out %.mod.c,$(wildcard kmod/*.[chS])) kmod/Kbuild $(DESTDIR)/usr/src/faultline-$(VERSION)

.PHONY: deb
deb: ## Debian packages of the driver and, for DKMS, of the module: build/deb/*.deb
	@$(VM) deb

.PHONY: clean
clean: ## build outputs in this tree
	rm -rf build
	find kmod -name '*.o' -o -name '*.ko' -o -name '*.mod*' -o -name '.*.cmd' | xargs -r rm -f
	rm -f modules.order Module.symvers kmod/modules.order selftests/*_test selftests/warn_planter

.PHONY: cache-list
cache-list: ## the contents of the cache (FAULTLINE_CACHE=, else the user's cache folder)
	@$(VM) cache-list

.PHONY: distclean
distclean: clean ## also runs/ and the cache with its kernels
	rm -rf runs
	@$(VM) cache-remove

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo; $(VM) --help | sed -n '/^exit status/,$$p'
