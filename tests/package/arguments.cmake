# Sets `arguments` to what stands behind "--" in the command line of a script.
foreach(i RANGE 1 ${CMAKE_ARGC})
  if(at_arguments)
    list(APPEND arguments "${CMAKE_ARGV${i}}")
  elseif("${CMAKE_ARGV${i}}" STREQUAL "--")
    set(at_arguments TRUE)
  endif()
endforeach()
