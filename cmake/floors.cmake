# The floors of include/distwork, from the ground up: a folder is a floor. A header includes only its own folder and
# those before it; folders that one element names, as "link|dispatch", never include each other.
# `cmake -DCHECK=floors -P cmake/check_headers.cmake` refuses anything else, and headers that stand nowhere.
set(FLOORS base tcp tls wire archive types calls execution "link|dispatch" roles groups factory "program|journal|dashboard" "sim|impl")

# The headers on top, which users name, stand in no folder: each counts to one.
set(ON_TOP_OF_base version error no_retry fwd log log_level work work_executor statistics explanation submit_options outcome connection_watch process_limits group_progress archive_limits
                   container_limits slave_state engine factory_options)
set(ON_TOP_OF_tcp transport)
set(ON_TOP_OF_tls tls)
set(ON_TOP_OF_archive fingerprint_override)
set(ON_TOP_OF_calls context)
set(ON_TOP_OF_types socket_information function_work)
set(ON_TOP_OF_execution register)
set(ON_TOP_OF_dispatch selector distribute_context)
set(ON_TOP_OF_roles role_options master slave on_start)
set(ON_TOP_OF_groups work_group map progress_bar)
set(ON_TOP_OF_program program local_slaves run_slave)
set(ON_TOP_OF_journal journal)
set(ON_TOP_OF_factory factory slurm_engine command_engine ssh_engine)
set(ON_TOP_OF_dashboard dashboard)
