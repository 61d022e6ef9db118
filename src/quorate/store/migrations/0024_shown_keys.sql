-- What a security key signs for nothing but to show that it is there.
ALTER TABLE challenge
    DROP CONSTRAINT a_challenge_is_for_something_known,
    ADD CONSTRAINT a_challenge_is_for_something_known
        CHECK (purpose IN ('decide', 'register', 'enrol', 'sign-in', 'show'));
