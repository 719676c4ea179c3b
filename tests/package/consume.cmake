# Configures, builds and runs a consumer, from nothing, as a user would:
#   cmake -DSOURCE=… -DBINARY=… [-DREFUSED=REGEX] -P consume.cmake -- ARGS of cmake…
# With REFUSED, building it must fail, and say what matches.
include("${CMAKE_CURRENT_LIST_DIR}/arguments.cmake")

file(REMOVE_RECURSE "${BINARY}")
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${BINARY}" ${arguments} COMMAND_ERROR_IS_FATAL ANY)
if(REFUSED)
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${BINARY}"
    RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(NOT failed OR NOT said MATCHES "${REFUSED}")
    message(FATAL_ERROR "It was not refused with \"${REFUSED}\":\n${said}")
  endif()
  return()
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${BINARY}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${BINARY}/consumer" COMMAND_ERROR_IS_FATAL ANY)
