# Brood. The targets people use: make, make demo, make test, make bench; `make help` lists them all.

# ---- settings ----------------------------------------------------------------------------------------------
BUILD ?= release#      release | debug
REAL  ?= float#        float | double: the engine's number type
SAN   ?=#              asan | tsan: with sanitizers; fuzzer: for `make fuzz`
CC    ?= gcc
V     ?= 0#            1 shows the commands

# ---- what it stands on (Debian package names beside the pkg-config names) -----------------------------------
PKGS      := openblas lua5.4 libpng zlib sqlite3 libcjson libxxhash libmd sleef libedit
DEBS      := gcc make pkg-config libopenblas-dev liblua5.4-dev libpng-dev zlib1g-dev libsqlite3-dev \
             libcjson-dev libxxhash-dev libmd-dev libsleef-dev libedit-dev libcmocka-dev lua-unit python3 curl gnuplot-nox

# ---- variants: each combination has a build directory of its own ---------------------------------------------
empty   :=
space   := $(empty) $(empty)
variant := $(subst $(space),-,$(strip $(filter-out release,$(BUILD)) $(filter-out float,$(REAL)) $(SAN)))
out     := build$(if $(variant),/$(variant))
obj     := $(out)/obj

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            -Wdouble-promotion -Wformat=2 -Wundef -Wwrite-strings $(if $(filter clang%,$(CC)),-Wno-unknown-pragmas -Wno-double-promotion)
# Never -ffast-math: training lives on seeing NaN. No contraction: the same bits fused or not.
CFLAGS_release := -O2 -g
CFLAGS_debug   := -O0 -g3
CFLAGS_asan    := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
CFLAGS_tsan    := -fsanitize=thread
CFLAGS_fuzzer  := $(CFLAGS_asan) -fsanitize=fuzzer-no-link
OPTIMIZE := $(CFLAGS_$(BUILD)) $(CFLAGS_$(SAN)) -ffp-contract=off -fno-math-errno
CPPFLAGS += -I. -D_GNU_SOURCE -DBROOD_VERSION='"$(shell cat VERSION)"' $(if $(filter double,$(REAL)),-DBROOD_DOUBLE)
missing := $(shell for p in $(PKGS); do pkg-config --exists $$p 2>/dev/null || echo $$p; done)
missing_for_tests := $(missing) $(shell pkg-config --exists cmocka 2>/dev/null || echo cmocka; \
  test -e /usr/share/lua/5.4/luaunit.lua || echo lua-unit)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS       := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -lpthread -ldl
CFLAGS     += -std=c11 $(OPTIMIZE) $(WARNINGS) -ffile-prefix-map=$(CURDIR)=.
LDFLAGS    += $(CFLAGS_$(SAN)) -pthread

ifeq ($(V),0)
  say = @printf '  %-4s %s\n' $(1) $(2);
else
  say =
endif

# On all cores, unless the user has said on how many.
parallel = $(MAKE) $(if $(filter -j%,$(MAKEFLAGS))$(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- sources -------------------------------------------------------------------------------------------------
# Files named *_simd.c hold the numeric loops: compiled once for each instruction set, chosen at run time.
folders := base gan gan/graph gan/kernels gan/program gan/data metrics pbt pbt/store
sources := $(sort $(wildcard $(addsuffix /*.c,$(folders))))
simd    := $(filter %_simd.c,$(sources))
plain   := $(filter-out %_simd.c,$(sources))
ifeq ($(shell uname -m),x86_64)
  levels := baseline avx2 avx512
else
  levels := baseline
endif
ISA_baseline :=
ISA_avx2     := -march=x86-64-v3
ISA_avx512   := -march=x86-64-v4 -mprefer-vector-width=512
SIMD_FLAGS   := $(if $(filter release,$(BUILD)),-O3 -funroll-loops) -fno-trapping-math

library := $(plain:%.c=$(obj)/%.o) $(foreach l,$(levels),$(simd:%.c=$(obj)/%.$(l).o))
app     := $(patsubst %.c,$(obj)/%.o,$(sort $(wildcard app/*.c app/*/*.c app/lua/*/*.c)))

.PHONY: all
all: $(if $(strip $(missing)),missing,$(out)/brood)

.PHONY: missing
missing:
	@echo "Missing: $(strip $(missing)). 'make deps' installs what Brood needs." >&2; exit 1

$(out)/brood: $(app) $(obj)/embedded.o $(out)/libbrood.a
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $(app) $(obj)/embedded.o $(out)/libbrood.a $(LIBS)

$(out)/libbrood.a: $(library)
	$(call say,AR,$@)rm -f $@ && $(AR) crs $@ $^

# Changed flags rebuild everything they touch.
$(obj)/flags: force
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(SIMD_FLAGS) $(PKG_CFLAGS)' | cmp -s - $@ \
	  || echo '$(CC) $(CPPFLAGS) $(CFLAGS) $(SIMD_FLAGS) $(PKG_CFLAGS)' > $@
.PHONY: force
force:

$(obj)/%.o: %.c $(obj)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

define simd_rule
$(obj)/%.$(1).o: %.c $(obj)/flags
	@mkdir -p $$(@D)
	$$(call say,CC,"$$< ($(1))")$(CC) $(CPPFLAGS) $(CFLAGS) $(SIMD_FLAGS) $(ISA_$(1)) -DISA_SUFFIX=$(1) $(PKG_CFLAGS) -MMD -MP -c -o $$@ $$<
endef
$(foreach l,$(levels),$(eval $(call simd_rule,$(l))))

# The Lua library travels inside the program; --scripts DIR overrides it.
lua_library := $(sort $(wildcard scripts/lib/brood/*.lua scripts/lib/brood/*/*.lua))
$(obj)/embedded.c: $(lua_library) app/embed.sh
	@mkdir -p $(@D)
	$(call say,GEN,$@)sh app/embed.sh $(lua_library) > $@
$(obj)/embedded.o: $(obj)/embedded.c $(obj)/flags
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# ---- tests ---------------------------------------------------------------------------------------------------
# Each tests/*/test_*.c is a program of its own; tests/run runs what it is given, and counts.
test_sources := $(sort $(wildcard tests/*/test_*.c))
test_support := $(patsubst %.c,$(obj)/%.o,$(sort $(wildcard tests/support/*.c)))
tests        := $(test_sources:tests/%.c=$(out)/tests/%)
lua_tests    := $(sort $(wildcard tests/lua/test_*.lua tests/lua/*/test_*.lua))
cli_tests    := $(sort $(wildcard tests/cli/test_* tests/fuzz/test_*.py))
# The tests count allocations and make them fail.
WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=free

$(out)/tests/%: $(obj)/tests/%.o $(test_support) $(out)/libbrood.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) $(WRAP) -o $@ $(filter %.o,$^) $(out)/libbrood.a $(LIBS) -lcmocka
# Tests of the Lua binding are linked with it, those of members and scorers with these.
$(filter $(out)/tests/lua/%,$(tests)): $(filter-out %/main.o,$(app)) $(obj)/embedded.o
$(filter $(out)/tests/members/% $(out)/tests/scoring/%,$(tests)): $(filter $(obj)/app/members/% $(obj)/app/scoring/%,$(app))

# Fuzz targets, with a main that replays seeds instead of a fuzzer: what a fuzzer finds becomes a seed.
fuzz_main    := $(if $(filter fuzzer,$(SAN)),-fsanitize=fuzzer,$(obj)/tests/fuzz/replay.o)
fuzz_targets := $(patsubst tests/fuzz/fuzz_%.c,$(out)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
$(out)/fuzz/%: $(obj)/tests/fuzz/fuzz_%.o $(filter %.o,$(fuzz_main)) $(out)/libbrood.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) $(filter -%,$(fuzz_main)) -o $@ $(filter %.o,$^) $(out)/libbrood.a $(LIBS)

.SECONDARY: $(test_sources:%.c=$(obj)/%.o) $(test_support)
.PHONY: tests
tests: $(out)/brood $(tests) $(fuzz_targets)

.PHONY: test
ifneq ($(strip $(missing_for_tests)),)
test:
	$(MAKE) deps
	$(MAKE) test
else
test:
	sh tests/check_house.sh
	+$(parallel) tests
	+$(parallel) REAL=double tests
	tests/run --brood $(out)/brood $(tests) $(patsubst build/%,build/double/%,$(tests)) $(lua_tests) $(cli_tests)
endif

# The C tests under the address and undefined behaviour sanitizers.
.PHONY: test-asan
test-asan:
	+$(parallel) SAN=asan tests
	tests/run --brood build/asan/brood $(patsubst build/%,build/asan/%,$(tests)) tests/fuzz/test_seeds.py

# Looks for what breaks a reader, with libFuzzer. Goes on from the inputs of the time before, in build/fuzzer/corpus/;
# what breaks the reader is left in build/fuzzer/, and belongs, once mended, among the seeds.
TARGET  ?= png
SECONDS ?= 1800
.PHONY: fuzz
fuzz:
	$(MAKE) CC=clang SAN=fuzzer build/fuzzer/fuzz/$(TARGET)
	@mkdir -p build/fuzzer/corpus/$(TARGET)
	build/fuzzer/fuzz/$(TARGET) -dict=tests/fuzz/$(TARGET).dict -max_total_time=$(SECONDS) -timeout=10 \
	  -print_final_stats=1 -artifact_prefix=build/fuzzer/$(TARGET)- build/fuzzer/corpus/$(TARGET) tests/fuzz/seeds/$(TARGET)

# ---- benchmarks: ratios, never a verdict ------------------------------------------------------------------------
benches := $(patsubst tests/bench/%.c,$(out)/bench/%,$(sort $(wildcard tests/bench/bench_*.c)))
$(out)/bench/%: $(obj)/tests/bench/%.o $(out)/libbrood.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $< $(out)/libbrood.a $(LIBS)

.PHONY: bench bench-scores bench-torch bench-population
bench: $(benches)
	OPENBLAS_NUM_THREADS=1 $(out)/bench/bench_conv
	OPENBLAS_NUM_THREADS=1 $(out)/bench/bench_step
	OPENBLAS_NUM_THREADS=1 $(out)/bench/bench_metrics
	OPENBLAS_NUM_THREADS=1 $(out)/bench/bench_trainer
# What a score costs and can tell; which images that cheat are caught; how good the classifiers are and how long they
# take (CIFAR-10's for minutes, and the files must be there).
bench-scores: $(out)/brood
	$(out)/brood lua tests/bench/bench_scores.lua time spread gaming classifiers
# What a population costs beside its members' training.
bench-population: $(out)/brood
	BROOD=$(out)/brood python3 tests/bench/bench_population.py
# The same step in PyTorch (Debian's python3-torch), turn and turn about.
bench-torch: $(out)/bench/bench_step
	sh tests/bench/beside_torch.sh $(out)/bench/bench_step

# ---- the main job ------------------------------------------------------------------------------------------------
.PHONY: demo
ifneq ($(strip $(missing)),)
demo:
	$(MAKE) deps
	$(MAKE) demo
else
demo:
	+$(parallel) all
	$(out)/brood run scripts/experiments/digits.lua
endif

# ---- the rest ----------------------------------------------------------------------------------------------------
.PHONY: fmt clean deps help
fmt:
	clang-format -i $(shell git ls-files '*.c' '*.h')

clean:
	rm -rf build

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
deps:
	@if command -v apt-get >/dev/null; then \
	  $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBS); \
	else echo 'No apt-get here. Brood needs what Debian calls: $(DEBS)'; exit 1; fi

help:
	@echo 'make              build/brood'
	@echo 'make demo         installs what is missing, builds, and trains eight GANs on digits that it draws itself'
	@echo 'make test         all tests, after installing what they need'
	@echo 'make test-asan    the C tests under the address and undefined behaviour sanitizers'
	@echo 'make fuzz         TARGET=idx|cifar|png|state|store SECONDS=1800: libFuzzer (needs clang and libclang-rt-14-dev)'
	@echo 'make bench        speed of convolutions and of a whole training step, as shares of sgemm; what a trainer adds to it'
	@echo 'make bench-scores time and spread of scores, images that cheat, classifiers (minutes)'
	@echo 'make bench-population  time outside training steps, two workers against one, memory of 45 members'
	@echo 'make bench-torch  the same training step beside PyTorch (needs python3-torch)'
	@echo 'make deps         installs the Debian packages that Brood stands on'
	@echo 'make fmt          applies the house style; make clean removes build/'
	@echo 'Variants, each with a build directory of its own: BUILD=debug, REAL=double, SAN=asan, SAN=tsan; V=1 shows commands'

-include $(shell find $(obj) -name '*.d' 2>/dev/null)
