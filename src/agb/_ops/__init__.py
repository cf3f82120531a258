"""Operations: one function per API operation and one per tool. No I/O."""
