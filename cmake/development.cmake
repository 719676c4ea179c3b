# Flags for our own tests and examples. They belong to this directory and those below, not to the target distwork:
# nothing here reaches a consumer, or the dependencies. distwork::compiled is compiled with them where tests, examples or
# benchmarks are built.
add_compile_definitions(ASIO_NO_DEPRECATED)

if(MSVC)
  add_compile_options(/W4 $<$<BOOL:${DISTWORK_WARNINGS_AS_ERRORS}>:/WX>)
else()
  add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<BOOL:${DISTWORK_WARNINGS_AS_ERRORS}>:-Werror>)
  # It is wrong about coroutines whose frames Asio allocates (GCC bug 109224).
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete>)
endif()

if(DISTWORK_SANITIZE)
  # -g1 is enough for stack traces, and compiles much faster than -g. The address sanitizer's build costs more time than
  # its tests: not optimized it compiles more than twice as fast.
  set(optimization -O0)
  if(DISTWORK_SANITIZE STREQUAL "thread")
    set(optimization -O1)
  endif()
  add_compile_options(${optimization} -g1 -fno-omit-frame-pointer -fsanitize=${DISTWORK_SANITIZE}
    -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DISTWORK_SANITIZE})
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  if(DISTWORK_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # Asio's fences, which the sanitizer does not understand
  endif()
endif()
