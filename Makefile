# Builds of the extension that look for trouble, each in a folder of its own below build/, and the
# tests run on them: `make PYTHON=.venv/bin/python sanitize`. Needs GCC and the packages of '.[dev]'.
#
#   make sanitize   the quick tests under AddressSanitizer and UndefinedBehaviorSanitizer, C asserts on
#   make checks     the quick tests with all of Cython's run-time checks and C asserts on
#   make valgrind   a reduced suite under memcheck
#   make coverage   which lines of Python and Cython the quick tests reach
#   make fuzz       random programs of public calls under the sanitizers, for FUZZ_SECONDS

PYTHON ?= python3
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
PYTEST = $(PYTHON) -m pytest -p no:cacheprovider -m 'not slow' $(PYTEST_ARGS)
# What needs the package installed, or starts other programs, is not for these builds.
ELSEWHERE = $(addprefix --ignore=$(CURDIR)/tests/,test_typing.py test_bench.py test_demo.py)

.PHONY: sanitize sanitize-build checks valgrind coverage fuzz

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

sanitize: sanitize-build
	$(call IN,sanitize) $(ASAN) $(PYTEST) $(ELSEWHERE) $(TESTS)

fuzz: sanitize-build
	$(call IN,sanitize) $(ASAN) $(PYTHON) -m fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

checks:
	MF_CFLAGS='-O1 -UNDEBUG' \
	  MF_DIRECTIVES='boundscheck=True initializedcheck=True nonecheck=True' \
	  $(call BUILD,checks)
	$(call IN,checks) $(PYTEST) $(ELSEWHERE) $(TESTS)

# CPython's own allocator off, so that every object is watched.
VALGRIND = valgrind --quiet --error-exitcode=99 --leak-check=no
valgrind:
	MF_CFLAGS='-O1 -g -UNDEBUG' $(call BUILD,valgrind)
	$(call IN,valgrind) PYTHONMALLOC=malloc $(VALGRIND) $(PYTEST) \
	  $(addprefix $(CURDIR)/tests/,test_finalizers.py test_custom_nodes.py test_hostile_bytes.py)

# Cython's plugin wants the C file beside the sources, so this is a copy of the checkout. Traced, a C
# loop takes a hundred times as long: the tests of size and speed are left out.
COVERED = $(filter-out $(addprefix tests/test_,bench.py demo.py limits.py memory.py typing.py),\
          $(wildcard tests/test_*.py))
coverage:
	rm -rf build/coverage && mkdir -p build/coverage
	cp -r micrograd_fast src tests .ci setup.py pyproject.toml README.md LICENSE build/coverage
	rm -f build/coverage/micrograd_fast/*.so
	cd build/coverage && MF_CFLAGS='-O0 -DCYTHON_TRACE_NOGIL=1' MF_DIRECTIVES='linetrace=True' \
	  MF_CYTHON_DIR=. $(PYTHON) setup.py -q build_ext --inplace
	cd build/coverage && PYTHONPATH=$(CURDIR)/build/coverage $(PYTHON) -m coverage run \
	  --rcfile=.ci/coverage.ini -m pytest -p no:cacheprovider -m 'not slow' $(PYTEST_ARGS) $(COVERED)
	cd build/coverage && $(PYTHON) -m coverage report --rcfile=.ci/coverage.ini
