"""The auditor's side: every figure of a certificate again, with arithmetic that shares no code with the issuer's."""
