# Builds of the extension that look for trouble, each in a folder of its own below build/, and the
# tests run on them: `make PYTHON=.venv/bin/python sanitize`. Needs GCC and the packages of '.[dev]'.
#
#   make c-tests    the C programs of tests/c under the sanitizers: no Python in them
#   make sanitize   the quick tests under AddressSanitizer and UndefinedBehaviorSanitizer, C asserts on
#   make checks     the quick tests with all of Cython's run-time checks and C asserts on
#   make valgrind   a reduced suite under memcheck
#   make coverage   which lines of Python, Cython and C the quick tests reach
#   make fuzz       random programs of public calls under the sanitizers, for FUZZ_SECONDS

PYTHON ?= python3
# Commands run in other folders: of a path, the whole; of a command, the name.
override PYTHON := $(if $(findstring /,$(PYTHON)),$(abspath $(PYTHON)),$(PYTHON))
TESTS ?= $(CURDIR)/tests
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 600
FUZZ_ARGS ?=
export PYTHONDONTWRITEBYTECODE = 1

# The packages of the checkout with another extension: build/NAME/lib.
BUILD = MF_CYTHON_DIR=build/$(1)/cython $(PYTHON) setup.py -q build --build-base build/$(1) \
        --build-lib build/$(1)/lib
# In that folder, because Python looks for packages where it was started first.
IN = cd build/$(1)/lib && PYTHONPATH=$(CURDIR)/build/$(1)/lib:$(CURDIR)
PYTEST = $(PYTHON) -m pytest -n0 -p no:cacheprovider -m 'not slow' $(PYTEST_ARGS)
# What needs the package installed, or starts other programs, is not for these builds.
ELSEWHERE = $(addprefix --ignore=$(CURDIR)/tests/package/,test_typing.py test_bench.py test_bench_figures.py test_demo.py)

.PHONY: c-tests sanitize sanitize-build checks valgrind coverage fuzz

# From a folder that does not hide the installed package.
c-tests:
	mkdir -p build
	cd build && $(PYTHON) -m pytest -n0 -p no:cacheprovider $(PYTEST_ARGS) $(CURDIR)/tests/c

# Leaks are counted by the tests: CPython itself leaves memory behind at exit.
SANITIZE = -O1 -g -fno-omit-frame-pointer -UNDEBUG -fsanitize=address,undefined \
           -fno-sanitize-recover=undefined -fsanitize-coverage=trace-pc
ASAN = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
       PYTHONMALLOC=malloc UBSAN_OPTIONS=print_stacktrace=1 \
       ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1

sanitize-build:
	mkdir -p build/sanitize
	gcc -O2 -fPIC -c fuzz/coverage.c -o build/sanitize/coverage.o
	MF_CFLAGS='$(SANITIZE)' \
	  MF_LDFLAGS='build/sanitize/coverage.o -Wl,-Bsymbolic -fsanitize=address,undefined' \
	  $(call BUILD,sanitize)

# The sanitizers write past Python's output, which pytest would keep from being seen. What is freed
# stays in quarantine for a while: no test of the process's memory.
sanitize: sanitize-build
	$(call IN,sanitize) $(ASAN) $(PYTEST) --capture=sys -k 'not same_memory and not no_more_memory' \
	  $(ELSEWHERE) $(TESTS)

fuzz: sanitize-build
	$(call IN,sanitize) $(ASAN) $(PYTHON) -m fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

checks:
	MF_CFLAGS='-O1 -UNDEBUG' \
	  MF_DIRECTIVES='boundscheck=True initializedcheck=True nonecheck=True' \
	  $(call BUILD,checks)
	$(call IN,checks) $(PYTEST) $(ELSEWHERE) $(TESTS)

# CPython's own allocator off, so that every object is watched. CPython and the C library make memcheck
# complain by themselves: what fails is a complaint with this extension in its stack.
VALGRIND = valgrind --quiet --leak-check=no --undef-value-errors=no --num-callers=40 \
           --log-file=$(CURDIR)/build/valgrind/log
valgrind:
	MF_CFLAGS='-O1 -g -UNDEBUG' $(call BUILD,valgrind)
	$(call IN,valgrind) PYTHONMALLOC=malloc $(VALGRIND) $(PYTEST) \
	  $(addprefix $(CURDIR)/tests/,life/test_finalizers.py engine/test_custom_nodes.py life/test_hostile_bytes.py)
	! grep -B 20 -A 5 micrograd_fast_5_core build/valgrind/log

# The C compiler's counters, under the numbers of the Cython lines: full speed, threads and all. The
# extension is made in two runs, because those numbers are put into the C code between them. What
# fresh interpreters run counts too.
# coverage.py keeps a lock of its own for ever where a KeyboardInterrupt comes between two of its lines.
UNINTERRUPTED = -k 'not an_interruption_leaves_a_usable_state and not no_interrupt_ends_a_call'
COUNT = MF_CYTHON_DIR=build/coverage/cython $(PYTHON) setup.py -q
coverage:
	rm -rf build/coverage && mkdir -p build/coverage
	$(COUNT) build_py --build-lib build/coverage/lib
	$(PYTHON) tools/cython_lines.py build/coverage/cython/src/_core.c
	MF_CFLAGS='-O0 --coverage -fprofile-update=atomic' MF_LDFLAGS=--coverage \
	  $(COUNT) build --build-base build/coverage --build-lib build/coverage/lib
	$(call IN,coverage) $(PYTHON) -m coverage run --rcfile=$(CURDIR)/.ci/coverage.ini -m pytest -n0 \
	  -p no:cacheprovider -m 'not slow' $(UNINTERRUPTED) $(PYTEST_ARGS) $(TESTS)
	cd build/coverage/lib && $(PYTHON) -m coverage combine -q --rcfile=$(CURDIR)/.ci/coverage.ini
	cd build/coverage/lib && $(PYTHON) -m coverage report --rcfile=$(CURDIR)/.ci/coverage.ini
	$(PYTHON) -m gcovr -r . --include-internal-functions --merge-lines --fail-under-line 99 \
	  --filter src/ --filter 'build/coverage/cython/src/.*[.]h' build/coverage
