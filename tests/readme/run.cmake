# SPDX-License-Identifier: Apache-2.0
# Runs the example twice in an empty folder: it makes its store, and opens it again.
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
foreach(round 1 2)
    execute_process(COMMAND ${PROGRAM} WORKING_DIRECTORY ${FOLDER}
        OUTPUT_VARIABLE said ERROR_VARIABLE wrong RESULT_VARIABLE code)
    if(NOT code EQUAL 0 OR NOT said MATCHES "^stored as [0-9]+-[0-9]+\n$")
        message(FATAL_ERROR "round ${round}: exit ${code}\n${said}${wrong}")
    endif()
endforeach()
