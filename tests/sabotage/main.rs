//! Sabotage: archives from which the source cannot be brought back, each judged by the real binary. One case a file;
//! the list below is the promise. None may ever be PASS, but for the copy that archives, which is defused and passes.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod archives;
#[path = "../support/mod.rs"]
mod support;
mod trial;

mod archive_empty;
mod archive_of_another_cluster;
mod backup_failed_with_an_end;
mod backup_info_lies;
mod backup_info_missing;
mod backup_label_wrong;
mod backup_on_a_branch_that_was_left;
mod balance_changed;
mod base_tar_truncated;
mod bit_flipped_and_recompressed;
mod bit_flipped_in_a_row;
mod column_type_changed;
mod copy_that_archives;
mod copy_told_to_promote_early;
mod database_lost;
mod database_not_writable;
mod empty_database;
mod end_segment_of_the_backup_missing;
mod extension_lost;
mod first_needed_segment_missing;
mod function_changed;
mod grant_lost;
mod grant_on_schema_lost;
mod history_forks_before_the_backup;
mod history_forks_too_late;
mod history_garbage;
mod history_missing;
mod index_bit_flipped;
mod index_entry_lost;
mod index_lost;
mod index_out_of_order;
mod index_page_overwritten;
mod large_object_changed;
mod last_segment_missing;
mod latest_over_a_gap;
mod live_row_lost;
mod lost_update_on_an_idle_source;
mod middle_segment_missing;
mod migration_lost;
mod migration_older;
mod page_zeroed;
mod partial_for_a_segment;
mod pg_control_missing;
mod polluted_by_a_copy;
mod relation_file_missing;
mod role_attribute_lost;
mod role_lost;
mod row_added;
mod row_level_security_off;
mod row_lost_behind_its_index;
mod row_of_the_future;
mod rows_deleted;
mod segment_bit_flipped_as_stored;
mod segment_empty;
mod segment_from_another_cluster;
mod segment_from_another_timeline;
mod segment_garbage_named_gz;
mod segment_of_a_clone;
mod segment_of_other_content;
mod segment_of_the_fork_missing;
mod segment_of_wrong_size;
mod segment_renamed;
mod segment_stored_twice;
mod segment_truncated;
mod segments_swapped;
mod sequence_value_lost;
mod stored_out_of_line_changed;
mod tablespace_tar_missing;
mod tar_part_missing;
mod target_never_reached;
mod timestamps_shifted;
mod value_changed;
mod value_out_of_line_lost;
mod values_swapped;
mod view_lost;
mod yesterdays_backup_as_todays;

// Without these, every other verdict here might have another cause than the sabotage.

#[test]
fn the_archive_that_all_cases_break_is_whole() {
    trial::Trial::of_prepared(|_| ()).drill().passes();
}

#[test]
fn it_is_whole_to_its_end() {
    let trial = trial::Trial::of_prepared(|_| ()).set("/sources/0/target", serde_json::json!({"latest": {}}));
    trial.drill().passes();
}
