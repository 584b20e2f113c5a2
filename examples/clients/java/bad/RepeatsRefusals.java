/** Bad: it submits again and again what was refused, since the quota may come back. Fails does-not-repeat-refused. */
public class RepeatsRefusals extends Client {
  @Override
  boolean mayRepeat(Refused refused) {
    return true;
  }

  public static void main(String[] arguments) throws Exception {
    main(new RepeatsRefusals());
  }
}
