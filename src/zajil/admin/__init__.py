"""Operations shared by web and command line."""
