"""One HTTP exchange: sessions, TLS, time-outs and the origins that may see credentials."""
