# Compiles one mistake and looks at what the compiler says:
#   cmake -DCOMPILER=… -DINCLUDES=… -DDEFINITIONS=… -DSOURCE=… -DMISTAKE=n -DSENTENCE=regex -DNAMES=regex -P explain.cmake
# Its first error is our sentence, and NAMES (the function, the argument, the types) stands beside it. MISTAKE=0 compiles.
list(TRANSFORM INCLUDES PREPEND -I)
list(TRANSFORM DEFINITIONS PREPEND -D)
execute_process(
  COMMAND "${COMPILER}" -std=c++20 -fsyntax-only ${INCLUDES} ${DEFINITIONS} -DMISTAKE=${MISTAKE} "${SOURCE}"
  ERROR_VARIABLE said RESULT_VARIABLE failed)
if(MISTAKE EQUAL 0)
  if(failed)
    message(FATAL_ERROR "it is no mistake:\n${said}")
  endif()
  return()
endif()

string(FIND "${said}" "error: " at)
if(NOT failed OR at EQUAL -1)
  message(FATAL_ERROR "it compiles:\n${said}")
endif()
string(SUBSTRING "${said}" ${at} -1 from_error)
string(REGEX MATCH "^[^\n]*" first "${from_error}")
if(NOT first MATCHES "distwork: " OR NOT first MATCHES "${SENTENCE}")
  message(FATAL_ERROR "the first error is\n  ${first}\nand not\n  distwork: …${SENTENCE}…")
endif()
# What g++ prints before the error, clang prints behind it.
math(EXPR near "${at} + 3000")
string(SUBSTRING "${said}" 0 ${near} beside)
if(NOT beside MATCHES "${NAMES}")
  message(FATAL_ERROR "nothing beside the first error names ${NAMES}:\n${beside}")
endif()
