# Configures, builds and runs a consumer, from nothing, as a user would:
#   cmake -DSOURCE=… -DBINARY=… -P consume.cmake -- ARGS of cmake…
foreach(i RANGE 1 ${CMAKE_ARGC})
  if(at_arguments)
    list(APPEND arguments "${CMAKE_ARGV${i}}")
  elseif("${CMAKE_ARGV${i}}" STREQUAL "--")
    set(at_arguments TRUE)
  endif()
endforeach()

file(REMOVE_RECURSE "${BINARY}")
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${BINARY}" ${arguments} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${BINARY}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${BINARY}/consumer" COMMAND_ERROR_IS_FATAL ANY)
