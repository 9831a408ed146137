-- What was reported of these orders is not kept; nobody could switch their roads before either.
SELECT 1;
