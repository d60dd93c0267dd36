# SPDX-License-Identifier: Apache-2.0
# Runs the example: three readings; three more, but it dies before its first commit; three more, and all six
# that were left are worked on, once.
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
function(check what got want)
    if(NOT got STREQUAL want)
        message(FATAL_ERROR "${what}: ${got}\ninstead of: ${want}")
    endif()
endfunction()
function(run want_code want)
    execute_process(COMMAND ${PROGRAM} ${ARGN} WORKING_DIRECTORY ${FOLDER}
        OUTPUT_VARIABLE said RESULT_VARIABLE code)
    check("exit" "${code}" "${want_code}")
    check("it said" "${said}" "${want}")
endfunction()
function(store want)
    execute_process(COMMAND ${OXBOW} -d exactly-once ${ARGN} WORKING_DIRECTORY ${FOLDER}
        OUTPUT_VARIABLE said RESULT_VARIABLE code)
    string(REGEX REPLACE "[0-9]+-[0-9]+" "ID" said "${said}")
    check("oxbow ${ARGN}" "${said}" "${want}")
endfunction()
run(0 "worked on 3\n")
store("6\n" get total)
run(9 "" die)
store("6\n" get total)
run(0 "worked on 6\n")
store("18\n" get total)
execute_process(COMMAND ${OXBOW} -d exactly-once read totals --json WORKING_DIRECTORY ${FOLDER}
    OUTPUT_VARIABLE said)
string(REGEX MATCHALL "\"[0-9]+\"" totals "${said}")
string(REGEX MATCHALL "total" entries "${said}")
list(LENGTH entries count)
check("results" "${count}" "9")
