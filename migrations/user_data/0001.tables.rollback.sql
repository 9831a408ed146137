DROP TABLE user_data.job_counts, user_data.job_services, user_data.subjects, user_data.jobs;
